"""Expected keys: what a target should be made of, known from a workflow's rules before anything runs.

Works on Snakemake's rule objects; executes and writes nothing.
"""

import re
from pathlib import Path

from snakemake.exceptions import WorkflowError

from stemma import digest, numeric
from stemma.closure import Closure, closure_of
from stemma.digest import SOURCES, StatCache

COMMAND = re.compile(r"python -m stemma run (\S+)")
NO_CODE = Closure({}, {}, {}, {}, {})  # of a view, which the engine itself writes: only its inputs make it stale
OWN = ("key", "flags")


def script_of(rule) -> str | None:
    """scripts/<stage>/<rule>.py of a rule whose shell line runs it through the engine; None for any other rule."""
    found = COMMAND.search(rule.shellcmd or "")
    return found.group(1).replace("{rule}", rule.name) if found else None


class Keys:
    """Expected keys of a workflow's targets, memoised for one parse.

    expected(target) = H(closure of its script, its params, expected keys of its inputs or digests of sources, mode).
    """

    def __init__(self, rules, root: Path, mode: str):
        self.root = root
        self.mode = mode
        self.known: dict[tuple, str] = {}
        self.exact = {}
        self.patterns = []
        self.sources = StatCache(SOURCES)
        for rule in rules:
            for output in rule.output:
                if rule.has_wildcards():
                    self.patterns.append((output, rule))
                else:
                    self.exact[str(output)] = rule

    def expected(self, rule, wildcards: dict[str, str]) -> str:
        """The expected key of the job that `rule` with `wildcards` is."""
        place = (rule.name, tuple(sorted(wildcards.items())))
        if place not in self.known:
            script = script_of(rule)
            closure = closure_of(Path(script), self.root) if script else NO_CODE
            inputs: dict[str, list[str]] = {}
            for name, path in named(rule.expand_input(wildcards)[0]):
                inputs.setdefault(name, []).append(self.of_path(path))
            parts = [closure.key, self.params(rule, wildcards), inputs, numeric.mode_of(closure, self.mode)]
            self.known[place] = digest.of_value(parts)
        return self.known[place]

    def of_path(self, path: str) -> str:
        """Expected key of an artifact, content digest of a source."""
        found = self.producer(path)
        return self.expected(*found) if found else self.sources.digest(Path(path))

    def producer(self, path: str):
        """(rule, wildcards) that makes a path; None for a source."""
        if path in self.exact:
            return self.exact[path], {}
        for output, rule in self.patterns:
            match = output.match(path)
            if match:
                return rule, match.groupdict()
        return None

    def params(self, rule, wildcards: dict[str, str]) -> dict:
        """The rule's own params, evaluated: the slice of the config that its script gets."""
        found = {}
        for name, value in rule.params.items():
            if name not in OWN:
                found[name] = value(Plain(wildcards)) if callable(value) else value
        return found


class Plain:
    """Wildcards as attributes, for a rule's params functions."""

    def __init__(self, values: dict[str, str]):
        self.__dict__.update(values)


def named(files) -> list[tuple[str, str]]:
    """(name, path) of every file of a job's input or output, lists flattened. Every file must have a name."""
    found = []
    for name, value in files._allitems():
        if name is None:
            raise WorkflowError(f"{value} needs a name: it is an argument of the script's main()")
        values = [value] if isinstance(value, str) else list(value)
        found += [(name, str(path)) for path in values]
    return found
