"""What a person may ask snakemake for: a rule, a file, or an artifact by its directory; for a misspelt one the nearest.

Snakemake alone knows rules and files. `resolve_targets` stands before it: `results/models/dpo` becomes that directory's
manifest.json, and what nothing makes is an error with a suggestion.
"""

import difflib
import os
from dataclasses import replace
from pathlib import Path

from snakemake.exceptions import InputFunctionException, WorkflowError

from stemma.planning.planned_jobs import Plan, Wanted
from stemma.provenance.lookup import likely
from stemma.store.artifact import MANIFEST, argument


def resolve_targets(workflow, plan: Plan) -> None:
    """Let this workflow take targets so, whatever it is asked to do with them."""
    prepare = workflow._prepare_dag

    def prepare_resolved(*arguments, **options):
        settings = workflow.dag_settings
        asked = {name: frozenset(target_of(word, workflow, plan) for word in getattr(settings, name))
                 for name in ("targets", "forcerun")}  # fmt: skip
        workflow.dag_settings = replace(settings, **asked)
        return prepare(*arguments, **options)

    workflow._prepare_dag = prepare_resolved


def target_of(word: str, workflow, plan: Plan) -> str:
    """What Snakemake is to be asked for. Raises WorkflowError for what nothing makes."""
    if workflow.is_rule(word):
        rule = workflow.get_rule(word)
        if not rule.has_wildcards():
            return word
        made = [path for path, job in wanted_by_default(workflow, plan).items() if job.rule == word]
        example = f", for example {named(made[0])}" if made else ""
        raise WorkflowError(f"{word}: this rule makes a file for each of many names; ask for one of them{example}")
    path = os.path.relpath(word)
    for candidate in (path, f"{path}/{MANIFEST}"):
        try:
            if plan.maker(candidate):
                return candidate
        except (LookupError, InputFunctionException):  # it fits a pattern; this config has no such source, step, method
            continue
        except Exception as error:  # a rule's function refuses it, and says why
            raise WorkflowError(str(error)) from None
    raise WorkflowError(f"{word}: no rule makes it; {suggestion(path, workflow, plan)}")


def suggestion(path: str, workflow, plan: Plan) -> str:
    """What to ask for instead of a path that no rule makes: the artifact that it is in, or what is called almost so."""
    for folder in Path(path).parents:
        if maker(f"{folder}/{MANIFEST}", plan):
            return f"it is in {folder}, ask for that"
    if Path(path).exists():
        return "it is there already"
    names = {rule.name for rule in workflow.rules if not rule.has_wildcards()}
    names |= {name for made in wanted_by_default(workflow, plan) for name in (made, named(made))}
    near = difflib.get_close_matches(path, likely(path, names), 1, 0.5)
    return f"did you mean {near[0]}?" if near else "`snakemake --list-target-rules` says what there is"


def maker(path: str, plan: Plan) -> Wanted | None:
    """The job that makes a path; None too where a rule's functions fail for it, whichever way: its pattern fits, but
    this config has no such source, step or method."""
    try:
        return plan.maker(path)
    except Exception:
        return None


def wanted_by_default(workflow, plan: Plan) -> dict[str, Wanted]:
    """Every path that the default target needs, with the job that makes it."""
    found: dict[str, Wanted] = {}
    waiting = [plan.job(workflow.get_rule(workflow.default_target), {})]
    while waiting:
        for _, path in waiting.pop().inputs:
            job = None if path in found else maker(path, plan)
            if job:
                found |= {output: job for _, output in job.outputs}
                waiting.append(job)
    return found


def named(path: str) -> str:
    """An artifact as people name it: a directory without its manifest."""
    return str(argument(Path(path)))
