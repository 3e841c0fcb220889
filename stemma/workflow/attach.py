"""Attaches the engine to a Snakemake workflow: gives every rule its expected key and its script's arguments.

`attach(workflow, ...)` is called once, at the end of a Snakefile. It adds two params to each rule whose shell line runs
`python -m stemma run`: `key`, which depends only on wildcards and makes a target stale, and `flags`, which is derived
from the job and is not compared. Nothing is executed or written here before the first job starts.
"""

import contextlib
import errno
import fcntl
import json
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.shell import shell

from stemma.base import digest
from stemma.base.errors import StemmaError, refusal, warn
from stemma.base.files import PARENT, where_writable
from stemma.base.settings import Settings, cache_of
from stemma.cluster.job_log import announce, say
from stemma.cluster.markers import MARKERS, begin_run
from stemma.cluster.resources import adapt_resources, end_leftovers, lead, slurm_executor
from stemma.cluster.ticket import STRICT, TICKETS
from stemma.code.closure import reader_of
from stemma.execute.run import TOLD
from stemma.planning.call import Call, spelled
from stemma.planning.expected_keys import Keys
from stemma.planning.planned_jobs import Wanted, keep
from stemma.provenance.trust import Records
from stemma.store.local import Store
from stemma.store.open_beneath import check_way
from stemma.workflow import hooks
from stemma.workflow.adopt_build import Idle, keep_build, settle
from stemma.workflow.cache_lookup import Foresight
from stemma.workflow.escape_wildcards import literal_params, respect_literals, text
from stemma.workflow.job_files import keep_files, mark_views
from stemma.workflow.rules import ENGINE, RulePlan, named, script_of
from stemma.workflow.staleness import judge_staleness, judge_submission
from stemma.workflow.targets import artifact_job, resolve_targets
from stemma.workflow.terminal import speak
from stemma.workflow.ticketing import frozen_flags, submit_tickets
from stemma.workflow.unevaluated_params import plan_without_params

T = TypeVar("T")
BEGIN = 16  # characters of a key that go on a command line: a job may have a thousand inputs
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # Lustre without -o flock, some NFS servers
NAMED = 3  # names of what has left results/ that are printed
LOCK = Path(".snakemake/stemma.lock")
CONFIG = Path("results/.records/config.json")  # the config of the last build, with all overlays and defaults


@dataclass(frozen=True)
class Attached:
    """What a workflow was given: its plan, its keys, its settings, its config as canonical JSON, from what it was read,
    and how it finds the job that makes an artifact, or says that there is none (WorkflowError)."""

    plan: RulePlan
    keys: Keys
    settings: Settings
    config: bytes
    call: Call
    files: list[Path]
    job_of: Callable[[str], Wanted]

    @property
    def values(self) -> dict:
        """The config as a dict."""
        return json.loads(self.config)

    def keep_plan(self) -> None:
        """Cache the plan of the jobs whose keys were computed, see stemma/planning/planned_jobs.py."""
        keep(self.call, self.files, [job for job, _ in self.keys.known.values()])


def attach(workflow, settings: Settings) -> Attached:
    """Give every rule that runs through the engine its `key` and `flags`, and prepare the shell and the hooks."""
    root = Path(workflow.current_basedir.get_path_or_uri(secret_free=True))  # also of a module of another workflow
    config = digest.canonical(digest.plain(workflow.globals["config"]))
    settings = replace(settings, config=digest.of_bytes(config))
    plain_errors(settings.check_places)
    for place in (MARKERS, TICKETS):  # with all that the engine keeps above them
        plain_errors(partial(check_way, place))
    plan = RulePlan(workflow.rules)
    keys = Keys(plan, root, settings.numeric)
    respect_literals()
    for rule in workflow.rules:
        if ENGINE in (rule.shellcmd or ""):
            literal_params(rule)
        if script_of(rule):
            rule.set_params(flags=flags_param(keys, plan, rule, settings))
        elif ENGINE in (rule.shellcmd or ""):
            rule.set_params(key=key_param(keys, plan, rule))
    keep_files(Store.of(settings))
    adapt_resources(workflow)
    resolve_targets(workflow, plan)
    for path in (root, Path(sys.executable)):
        if os.pathsep in str(path):
            raise WorkflowError(
                f"{path} holds a `{os.pathsep}`, which lists of paths are cut at (PYTHONPATH, PATH); move it"
            )
    told = workflow.is_main_process and speak(workflow)
    python, house = (shlex.quote(str(path)) for path in (Path(sys.executable).parent, root))
    exported = f"PATH={python}:$PATH PYTHONPATH={house} STEMMA_ROOT={house} {PARENT}={os.getpid()}"
    exported += f" {TOLD}=1" * told
    shell.prefix(text(f"{STRICT}export {exported}; "))
    read = workflow.config_settings
    call = Call.of(Path(workflow.main_snakefile), map(Path, read.configfiles), read.config)
    files = [Path(file.get_path_or_uri(secret_free=True)) for file in workflow.included]
    files = [Path(spelled(file)) for file in (*files, *map(Path, workflow.configfiles)) if file.is_file()]
    workflow.attached = Attached(
        plan, keys, settings, config, call, files, lambda word: artifact_job(word, workflow, plan)
    )
    if workflow.is_main_process:
        plan_without_params(lambda job: script_of(job.rule) and plain_errors(lambda: keys.expected(plan.of(job))))
        records = Records.of(settings)
        judge_staleness(keys, plan, records)
        mark_views(keys, plan)
        judge_submission(workflow, Foresight(keys, records), plan)
        logger.addHandler(Idle(lambda: plain_errors(lambda: rest(workflow))))
        hooks.before(workflow, "onstart", lambda: plain_errors(lambda: begin(workflow)))
        hooks.before(workflow, "onsuccess", lambda: plain_errors(lambda: clear(workflow)))
    return workflow.attached


def key_param(keys: Keys, plan: RulePlan, rule) -> Callable:
    """Return the param function that Snakemake compares: it changes exactly when the target's expected key does."""

    def key(wildcards):
        return plain_errors(lambda: keys.expected(plan.job(rule, dict(wildcards.items()))))

    return key


def flags_param(keys: Keys, plan: RulePlan, rule, settings: Settings) -> Callable:
    """Return the param function that renders the options of `python -m stemma run`."""

    as_json = settings.to_json()

    def flags(wildcards, input, output):
        if rule.workflow.dryrun and not rule.workflow.output_settings.printshellcmds:
            return ""  # nobody will see them
        if frozen := frozen_flags(str(output[0])):
            return frozen
        values = dict(wildcards.items())
        job = plan.job(rule, values)
        options = [
            "--rule",
            rule.name,
            "--expected",
            keys.expected(job),
            "--settings",
            as_json,
            "--threads",
            job.threads,
            "--log",
            rule.expand_log(values)[0],
        ]
        options += ["--shell", job.shell] if job.shell else []
        options += ["--wildcards", json.dumps(values), "--params", json.dumps(job.params)]
        made_from = [keys.closure(job).key]
        for name, path in keys.in_order(job):
            options += ["--input" if plan.maker(path) else "--source", f"{name}={path}"]
            made_from.append(keys.of_path(path))
        options += ["--made-from", ",".join(key[:BEGIN] for key in made_from)]
        for name, path in named(output):
            options += ["--output", f"{name}={path}"]
        return shlex.join(map(str, options))

    return flags


def plain_errors(function: Callable[[], T]) -> T:
    """Turn a StemmaError, or what a file system refuses, into Snakemake's own kind of error."""
    try:
        return function()
    except StemmaError as error:
        raise WorkflowError(str(error)) from None
    except OSError as error:
        line = refusal(error)
        if line is None:
            raise
        raise WorkflowError(line) from None


def begin(workflow) -> None:
    """Prepare the main process before the first job: lock the directory, save what later commands need."""
    attached, slurm = workflow.attached, slurm_executor(workflow)
    take_lock(LOCK)
    end_leftovers(Path.cwd(), slurm is not None)
    if slurm is not None:
        lead(slurm)
    if not workflow.local_exec:
        announce(workflow)
    store = Store.of(attached.settings)
    submit_tickets(workflow, attached.keys.root, cache_of(store.path))
    store.add_bytes(attached.config)
    digest.write_atomically(CONFIG, attached.config)
    attached.settings.save()
    attached.keys.sources.save()
    attached.keep_plan()
    keep_build(workflow.dag, attached.plan, attached.keys, workflow.default_target)
    reader_of(attached.keys.root).save()
    begin_run(workflow)


def clear(workflow) -> None:
    """After a run, remove from results/ what is not of its build, and name it."""
    left = settle(workflow)
    if left:
        names = ", ".join(left[:NAMED]) + (f" and {len(left) - NAMED} more" if len(left) > NAMED else "")
        say(f"left results/, not of this build (the store keeps it): {names}")


def rest(workflow) -> None:
    """Record what is wanted when no job has to be done, unless another snakemake builds here or nothing can be
    written."""
    if workflow.dryrun or workflow.touch:
        return
    with contextlib.suppress(Occupied), where_writable():
        take_lock(LOCK)
        attached = workflow.attached
        keep_build(workflow.dag, attached.plan, attached.keys, workflow.default_target)
        clear(workflow)


class Occupied(WorkflowError):
    """Another snakemake builds in this directory."""


def take_lock(path: Path) -> None:
    """Lock the directory for this process. The kernel releases the lock with the process, however it ends."""
    path.parent.mkdir(exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Occupied(f"another snakemake builds in {Path.cwd()}; wait for it, or stop it and run again") from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        warn(f"{Path.cwd()} is on a file system without locks: never run two snakemakes here at a time")
