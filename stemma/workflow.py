"""The seam between Snakemake and the engine: gives every rule its expected key and its script's arguments.

`attach(workflow, ...)` is called once, at the end of a Snakefile. It adds two params to each rule whose shell line runs
`python -m stemma run`: `key`, which takes only wildcards and so takes part in Snakemake's params trigger, and `flags`,
which is derived from the job and is not compared. Nothing is executed or written here.
"""

import fcntl
import json
import os
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.shell import shell

from stemma import digest, numeric
from stemma.closure import Closure, closure_of
from stemma.digest import StatCache
from stemma.errors import StemmaError
from stemma.run import SOURCES
from stemma.settings import Settings

ENGINE = "python -m stemma "
COMMAND = re.compile(r"python -m stemma run (\S+)")
NO_CODE = Closure({}, {}, {})  # of a view, which the engine itself writes: only its inputs make it stale
LOCK = Path(".snakemake/stemma.lock")
OWN = ("key", "flags")


def attach(workflow, settings: Settings) -> None:
    """Give every rule that runs through the engine its `key` and `flags`; prepare the shell; lock before jobs start."""
    root = Path(workflow.basedir)
    keys = Keys(workflow.rules, root, settings.numeric)
    for rule in workflow.rules:
        if script_of(rule):
            rule.set_params(key=key_param(keys, rule), flags=flags_param(keys, rule, settings))
        elif ENGINE in (rule.shellcmd or ""):
            rule.set_params(key=key_param(keys, rule))
    python = shlex.quote(str(Path(sys.executable).parent))
    shell.prefix(
        f"export PATH={python}:$PATH PYTHONPATH={shlex.quote(str(root))} STEMMA_ROOT={shlex.quote(str(root))} "
        f"STEMMA_PARENT={os.getpid()}; "
    )
    if workflow.is_main_process:
        workflow.onstart(lambda log: begin(settings))


def script_of(rule) -> str | None:
    """scripts/<stage>/<rule>.py of a rule whose shell line runs it through the engine; None for any other rule."""
    found = COMMAND.search(rule.shellcmd or "")
    return found.group(1).replace("{rule}", rule.name) if found else None


def key_param(keys: "Keys", rule) -> Callable:
    """The param that Snakemake compares: it changes exactly when the target's expected key does."""

    def key(wildcards):
        return plain_errors(keys.expected, rule, dict(wildcards.items()))

    return key


def flags_param(keys: "Keys", rule, settings: Settings) -> Callable:
    """The rendered options of `python -m stemma run`."""

    def flags(wildcards, input, output, threads):
        values = dict(wildcards.items())
        options = [
            "--rule",
            rule.name,
            "--expected",
            keys.expected(rule, values),
            "--settings",
            settings.to_json(),
            "--threads",
            threads,
            "--log",
            rule.expand_log(values)[0],
        ]
        options += ["--wildcards", json.dumps(values), "--params", json.dumps(keys.params(rule, values))]
        for name, path in named(input):
            options += ["--input" if keys.producer(path) else "--source", f"{name}={path}"]
        for name, path in named(output):
            options += ["--output", f"{name}={path}"]
        return shlex.join(map(str, options))

    return flags


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


def plain_errors(function: Callable, *arguments):
    """Let a StemmaError reach the user as Snakemake's own kind of error."""
    try:
        return function(*arguments)
    except StemmaError as error:
        raise WorkflowError(str(error)) from None


def begin(settings: Settings) -> None:
    """What the main process does before the first job: hold the directory, remember how to answer questions."""
    take_lock(LOCK)
    settings.save()


def take_lock(path: Path) -> None:
    """Hold the directory for this process. The kernel frees the lock with the process, however it ends."""
    path.parent.mkdir(exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WorkflowError(
            f"another snakemake builds in {Path.cwd()}; wait for it, or stop it and run again"
        ) from None
