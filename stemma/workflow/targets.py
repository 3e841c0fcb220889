"""Resolves what a person asks snakemake for: a rule, a file, or an artifact by its directory; a typo gets a suggestion.

Snakemake alone knows rules and files. `resolve_targets` comes before it: `results/models/dpo` becomes that directory's
manifest.json, and a target that nothing makes is an error with a suggestion.
"""

import difflib
import os
from dataclasses import replace
from pathlib import Path

from snakemake.exceptions import InputFunctionException, WorkflowError

from stemma.base.patches import put
from stemma.planning.planned_jobs import Wanted
from stemma.provenance.lookup import likely
from stemma.store.artifact import MANIFEST, argument
from stemma.workflow.rules import RulePlan


def resolve_targets(workflow, plan: RulePlan) -> None:
    """Patch this workflow to resolve its targets, whatever it is asked to do with them."""
    prepare = workflow._prepare_dag

    def prepare_resolved(*arguments, **options):
        settings = workflow.dag_settings
        asked = {name: frozenset(target_of(word, workflow, plan) for word in getattr(settings, name))
                 for name in ("targets", "forcerun")}  # fmt: skip
        workflow.dag_settings = replace(settings, **asked)
        return prepare(*arguments, **options)

    put(workflow, "Workflow._prepare_dag", prepare_resolved)


def target_of(word: str, workflow, plan: RulePlan) -> str:
    """Return the target to give Snakemake. Raises WorkflowError for one that nothing makes."""
    if workflow.is_rule(word):
        rule = workflow.get_rule(word)
        if not rule.has_wildcards():
            return word
        example = example_of(word, workflow, plan)
        raise WorkflowError(f"{word}: this rule makes a file for each of many names; ask for one of them{example}")
    return first_made(word, workflow, plan)[0]


def first_made(word: str, workflow, plan: RulePlan, rules: bool = True) -> tuple[str, Wanted]:
    """Return a path, or the manifest of this directory, and the job that makes it. Raises WorkflowError where no rule
    does, with a suggestion, a rule's name too if `rules`; and where a rule's function refuses it and says why."""
    path = os.path.relpath(word)
    for candidate in (path, f"{path}/{MANIFEST}"):
        try:
            if job := plan.maker(candidate):
                return candidate, job
        except (LookupError, InputFunctionException):  # the pattern fits, but the config has no such source or step
            continue
        except Exception as error:  # a rule's function refuses it and says why
            raise WorkflowError(str(error)) from None
    raise WorkflowError(f"{word}: no rule makes it; {suggestion(path, workflow, plan, rules)}")


def artifact_job(word: str, workflow, plan: RulePlan) -> Wanted:
    """Return the job that makes an artifact, for questions that are about artifacts alone. Raises WorkflowError for a
    word that is none."""
    if workflow.is_rule(word):
        raise WorkflowError(f"{word} is a rule; ask for one of its artifacts{example_of(word, workflow, plan)}")
    return first_made(word, workflow, plan, rules=False)[1]


def example_of(rule: str, workflow, plan: RulePlan) -> str:
    """Name an artifact that a rule makes or, if it makes none, that it asks for; empty where the default target needs
    none of its."""
    wanted = wanted_by_default(workflow, plan)
    made = [path for path, job in wanted.items() if job.rule == rule]
    if not made and not workflow.get_rule(rule).has_wildcards():
        made = [path for _, path in plan.job(workflow.get_rule(rule), {}).inputs if maker(path, plan)]
    return f", for example {named(made[0])}" if made else ""


def suggestion(path: str, workflow, plan: RulePlan, rules: bool) -> str:
    """Suggest another target for a path that no rule makes: the artifact that contains it, or one with a similar
    name, of a rule's names too if `rules`."""
    for folder in Path(path).parents:
        if maker(f"{folder}/{MANIFEST}", plan):
            return f"it is in {folder}, ask for that"
    if Path(path).exists():
        return "it is there already"
    names = {rule.name for rule in workflow.rules if rules and not rule.has_wildcards()}
    names |= {name for made in wanted_by_default(workflow, plan) for name in (made, named(made))}
    near = difflib.get_close_matches(path, likely(path, names), 1, 0.5)
    return f"did you mean {near[0]}?" if near else "`snakemake --list-target-rules` says what there is"


def maker(path: str, plan: RulePlan) -> Wanted | None:
    """Return the job that makes a path; None also where a rule's functions fail for it: the pattern fits, but this
    config has no such source, step or method."""
    try:
        return plan.maker(path)
    except Exception:
        return None


def wanted_by_default(workflow, plan: RulePlan) -> dict[str, Wanted]:
    """Return every path that the default target needs, with the job that makes it."""
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
    """Return an artifact's name for people: a directory without its manifest."""
    return str(argument(Path(path)))
