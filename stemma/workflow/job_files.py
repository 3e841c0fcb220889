"""Lets the engine, and not Snakemake, remove, replace and judge the files of the engine's jobs.

Snakemake removes a job's outputs and logs before it begins and its outputs when it fails, whoever put them there; it
refuses to build what is read-only, as all artifacts are; it makes directories and writes benchmarks through links; and
it takes an input that is younger than an output for a change. Files of other rules stay its business.

These patches reach into Snakemake's files and jobs (9.27); tests/stemma/workflow/test_job_files.py holds them.
"""

import contextlib
from pathlib import Path

from snakemake.dag import DAG
from snakemake.exceptions import WorkflowError
from snakemake.io import _IOFile
from snakemake.jobs import Job
from snakemake_interface_storage_plugins.io import Mtime

from stemma.base import digest
from stemma.base.errors import StemmaError
from stemma.base.files import stamp_of
from stemma.base.patches import put
from stemma.planning.expected_keys import Keys
from stemma.store.artifact import Mark, write_mark
from stemma.store.local import Store
from stemma.store.open_beneath import check_way, opened
from stemma.store.placement import make_room, take_away
from stemma.workflow.rules import RulePlan, is_view, runs_engine, script_of


def keep_files(store: Store) -> None:
    """Patch Snakemake to leave the files of the engine's jobs to the engine. Every process that reads the workflow
    needs it: a job of a cluster is prepared where it runs."""
    remove, is_newer, mtime = _IOFile.remove, _IOFile.is_newer, _IOFile.mtime_uncached
    prepare, check_protected = Job.prepare, Job.check_protected_output
    check_output = DAG.check_and_touch_output

    async def engine_remove(file, *arguments, **options):
        if not runs_engine(file.rule):
            await remove(file, *arguments, **options)
            return
        path = Path(str(file))
        if any(log.match(str(file)) for log in file.rule.log):
            with contextlib.suppress(FileNotFoundError), opened(path.parent) as folder:
                make_room(folder, path)
        else:
            take_away(store, path)

    async def engine_is_newer(file, time):
        return not runs_engine(file.rule) and await is_newer(file, time)

    async def engine_mtime(file, **options):
        try:
            return await mtime(file, **options)
        except (WorkflowError, OSError):
            path = Path(str(file))
            if runs_engine(file.rule) and path.is_symlink():  # a dangling link, which will be set aside
                return Mtime(local=path.lstat().st_mtime)
            raise

    async def engine_prepare(job):
        if runs_engine(job.rule):
            try:
                make_ways(job)
            except StemmaError as error:
                raise WorkflowError(str(error), rule=job.rule) from None
        await prepare(job)

    async def engine_check_protected(job):
        if not runs_engine(job.rule):
            await check_protected(job)

    async def engine_check_output(dag, job, **options):
        if runs_engine(job.rule):
            options["check_output_mtime"] = False
        if script_of(job.rule):
            options["no_touch"] = True  # the engine has set the mtime that the pointer states
        await check_output(dag, job, **options)

    put(_IOFile, "_IOFile.remove", engine_remove)
    put(_IOFile, "_IOFile.is_newer", engine_is_newer)
    put(_IOFile, "_IOFile.mtime_uncached", engine_mtime)
    put(Job, "Job.prepare", engine_prepare)
    put(Job, "Job.check_protected_output", engine_check_protected)
    put(DAG, "DAG.check_and_touch_output", engine_check_output)
    put(DAG, "DAG.cleanup_workdir", lambda dag: None)  # it would remove empty directories, even those of sources


def make_ways(job) -> None:
    """Raise StemmaError for anything that stands where a directory of the job's files belongs; clear the place of the
    benchmark, so that Snakemake, which writes through links, makes a new file."""
    for file in (*job.output, *job.log):
        check_way(Path(file).parent)
    if job.benchmark:
        benchmark = Path(job.benchmark)
        with opened(benchmark.parent, make=True) as folder:
            make_room(folder, benchmark)


def mark_views(keys: Keys, plan: RulePlan) -> None:
    """Patch Snakemake so that a view that was written gets a mark: what it was made for and what stands there."""
    postprocess = Job.postprocess

    async def engine_postprocess(job, **options):
        await postprocess(job, **options)
        if is_view(job.rule) and not options.get("error"):
            expected = keys.expected(plan.of(job))
            for path in map(Path, job.output):
                write_mark(path, Mark(expected, {path.name: [digest.of_file(path), *stamp_of(path.lstat())]}))

    put(Job, "Job.postprocess", engine_postprocess)
