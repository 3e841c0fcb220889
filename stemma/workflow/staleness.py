"""Replaces Snakemake's decisions on two questions by the engine's: whether a job is stale, and whether to submit it.

Snakemake remembers params in .snakemake/metadata and forgets them when that is deleted; the engine's pointers say what
stands at each path and under which expected key it was put there, so they are asked instead. On a cluster, a job whose
result the store already holds is served on the head node when its turn comes, and nothing is submitted.

These patches reach into Snakemake's classes (9.27); tests/stemma/workflow/test_staleness.py holds them.
"""

from concurrent.futures import Future
from pathlib import Path

from snakemake.dag import DAG
from snakemake.executors.local import Executor as LocalExecutor
from snakemake.jobs import Job
from snakemake.persistence import ParamsChange, PersistenceBase

from stemma.base.patches import put
from stemma.planning.expected_keys import Keys
from stemma.provenance.trust import Records
from stemma.store import artifact
from stemma.store.artifact import Pointer
from stemma.store.stamps import Stamps
from stemma.workflow.cache_lookup import Foresight
from stemma.workflow.rules import RulePlan, runs_engine, script_of

SERVED = "_stemma_served_here"


def judge_staleness(keys: Keys, plan: RulePlan, records: Records) -> None:
    """Patch Snakemake: a job of the engine is stale if the pointer or mark of an output has another expected key, if
    the output does not stand as it was put there, or if its record is lost or signed by a key that is not trusted: then
    it could not be an input of another job."""
    has_metadata, has_outdated = PersistenceBase.has_metadata, PersistenceBase.has_outdated_metadata
    params_changed, update_needrun = PersistenceBase.params_changed, DAG.update_needrun
    stamps = Stamps()

    def engine_params_changed(persistence, job, file=None):
        if not runs_engine(job.rule):
            return params_changed(persistence, job, file)
        expected = keys.expected(plan.of(job))
        found = {path: judged(path, job.rule, expected) for path in ([file] if file is not None else job.output)}
        stale = {path: why for path, why in found.items() if why is not None}
        return ParamsChange(only_old=set(stale.values()), only_new={expected} if stale else set(), files=set(stale))

    def judged(output, rule, expected: str) -> str | None:
        path = Path(output)
        said = artifact.read_pointer(path) if script_of(rule) else artifact.read_mark(path)
        if said is None:
            return f"{path} was not built"
        if said.expected != expected:
            return said.expected
        if isinstance(said, Pointer) and not records.counts(said):
            return f"the record of {path} is lost, or no trusted key has signed it"
        return stamps.fault(path, said.files)

    async def engine_update_needrun(dag, *arguments, **options):
        await update_needrun(dag, *arguments, **options)
        stamps.save()

    def engine_has_metadata(persistence, job):
        return runs_engine(job.rule) or has_metadata(persistence, job)

    def engine_has_outdated(persistence, job):
        return not runs_engine(job.rule) and has_outdated(persistence, job)

    put(PersistenceBase, "PersistenceBase.has_metadata", engine_has_metadata)
    put(PersistenceBase, "PersistenceBase.has_outdated_metadata", engine_has_outdated)
    put(PersistenceBase, "PersistenceBase.params_changed", engine_params_changed)
    put(DAG, "DAG.update_needrun", engine_update_needrun)


def is_held(job, foresight: Foresight, plan: RulePlan) -> bool:
    """Is this a job of the engine whose result the store holds?"""
    return bool(script_of(job.rule)) and foresight.holds(plan.of(job))


def judge_submission(workflow, foresight: Foresight, plan: RulePlan) -> None:
    """Patch Snakemake: a job whose result the store holds, or a group of such jobs, runs on this machine."""
    register_running, is_local, run_group = DAG.register_running, Job.is_local.fget, LocalExecutor.run_group_job

    def engine_register_running(dag, jobs):
        for job in jobs:
            members = list(job.jobs) if job.is_group() else [job]
            if not workflow.local_exec and all(is_held(member, foresight, plan) for member in members):
                for member in members:
                    setattr(member, SERVED, True)
                    member._resources = None  # these were evaluated for another machine
        return register_running(dag, jobs)

    def engine_run_group(executor, group):
        if not all(getattr(job, SERVED, False) for job in group):
            run_group(executor, group)
            return
        group.finalize()
        for layer in group.toposorted:  # Snakemake would run a local group's jobs all at once
            futures: list[Future] = [executor.run_single_job(job) for job in layer]
            for future in futures:
                future.result()

    put(DAG, "DAG.register_running", engine_register_running)
    put(LocalExecutor, "Executor.run_group_job", engine_run_group)
    put(Job, "Job.is_local", property(lambda job: getattr(job, SERVED, False) or is_local(job)))
