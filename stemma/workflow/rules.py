"""Makes a plan of Snakemake's rules: the job behind a path, its files and its script's params. Executes nothing."""

import re
from functools import cache
from string import Formatter

from snakemake.exceptions import WorkflowError

from stemma.base.digest import plain
from stemma.planning.planned_jobs import Wanted
from stemma.store.artifact import check_declared

COMMAND = re.compile(r"python -m stemma run (\S+)")
ENGINE = "python -m stemma "
OWN = ("key", "flags")
FLAGS = "{params.flags}"
OF_A_JOB = ("input", "output", "params", "log", "benchmark", "resources", "threads", "rule", "jobid")


class RulePlan:
    """The plan of one workflow's rules; each job is made once for as long as the workflow is loaded."""

    def __init__(self, rules):
        self.jobs: dict[tuple, Wanted] = {}
        self.exact = {}
        self.patterns = []
        for rule in rules:
            for output in rule.output:
                if rule.has_wildcards():
                    self.patterns.append((output, rule))
                else:
                    self.exact[str(output)] = rule

    def maker(self, path: str) -> Wanted | None:
        """Return the job that makes a path; None for a source."""
        found = self.rule_of(path)
        return self.job(*found) if found else None

    def rule_of(self, path: str) -> tuple | None:
        """Return the rule that makes a path, and its wildcards; None for a source. Calls no function of the rule."""
        if path in self.exact:
            return self.exact[path], {}
        for output, rule in self.patterns:
            match = output.match(path)
            if match:
                return rule, match.groupdict()
        return None

    def of(self, job) -> Wanted:
        """Return the planned job of a Snakemake job, whose files are known already."""
        return self.job(job.rule, job.wildcards_dict, (job.input, job.output))

    def job(self, rule, wildcards: dict[str, str], files: tuple | None = None) -> Wanted:
        """Return the job of a rule with these wildcards. files: its (input, output), if they are known."""
        place = (rule.name, tuple(sorted(wildcards.items())))
        if place not in self.jobs:
            files = files or (rule.expand_input(wildcards)[0], rule.expand_output(wildcards)[0])
            script = script_of(rule)
            inputs, outputs = (named(some, needed=bool(script)) for some in files)
            for _, path in outputs if script else ():
                check_declared(path)
            self.jobs[place] = Wanted(
                rule.name,
                script,
                params_of(rule, wildcards),
                inputs,
                outputs,
                threads_of(rule, wildcards),
                shell_of(rule, wildcards),
            )
        return self.jobs[place]


def script_of(rule) -> str | None:
    """Return scripts/<stage>/<rule>.py of a rule whose shell line runs it through the engine; None for any other
    rule."""
    return script_in(rule.shellcmd or "", rule.name)


@cache
def script_in(shell_line: str, rule: str) -> str | None:
    found = COMMAND.search(shell_line)
    return found.group(1).replace("{rule}", rule) if found else None


def runs_engine(rule) -> bool:
    """Does a rule's shell line run the engine, for a script or for a view?"""
    return rule is not None and ENGINE in (rule.shellcmd or "")


def is_view(rule) -> bool:
    """Does a rule make a view, which the engine itself writes?"""
    return runs_engine(rule) and not script_of(rule)


def params_of(rule, wildcards: dict[str, str]) -> dict:
    """Return the rule's own params, evaluated: the slice of the config that its script gets."""
    found = {}
    for name, value in rule.params.items():
        if name not in OWN:
            found[name] = plain(value(Plain(wildcards)) if callable(value) else value)
    return found


def threads_of(rule, wildcards: dict[str, str]) -> int:
    """Return the threads that the rule declares, whatever this machine has: a job's result may depend on the number."""
    threads = rule.resources["_cores"]
    if not threads.is_evaluable():
        return threads.value
    try:
        return threads.evaluate(Plain(wildcards), attempt=1).value
    except Exception as error:
        raise WorkflowError(
            f"rule {rule.name}: threads cannot be known before its input is ({type(error).__name__}: {error}); "
            "let them follow from wildcards or config"
        ) from None


def shell_of(rule, wildcards: dict[str, str]) -> str:
    """Return the rest of a shell line beside the engine's command, e.g. a variable, for the key. Wildcards and names of
    the Snakefile are replaced by their values; what belongs to a job stays a name, since its params are in the key
    anyway and its resources change no bytes."""
    rest = " ".join(COMMAND.sub("", rule.shellcmd or "").replace(FLAGS, "").split())
    names = rule.workflow.globals | {"wildcards": Plain(wildcards)}
    text = ""
    for literal, field, layout, conversion in Formatter().parse(rest):
        text += literal
        if field is None:
            continue
        if re.split(r"[.\[]", field)[0] in OF_A_JOB:
            text += "{" + field + (f":{layout}" if layout else "") + "}"
        else:
            value = Formatter().get_field(field, (), names)[0]
            text += f"{value!r}" if conversion == "r" else f"{value}"
    return text


class Plain:
    """Wildcards as attributes, for a rule's params functions."""

    def __init__(self, values: dict[str, str]):
        self.__dict__.update(values)


def named(files, needed: bool = True) -> tuple[tuple[str, str], ...]:
    """Return (name, path) of every file of a job's input or output, lists flattened. Raises WorkflowError where a name
    is `needed` and missing."""
    found = []
    for name, value in files._allitems():
        if name is None and needed:
            raise WorkflowError(f"{value} needs a name: it is an argument of the script's main()")
        values = [value] if isinstance(value, str) else list(value)
        found += [(name or "", str(path)) for path in values]
    return tuple(found)
