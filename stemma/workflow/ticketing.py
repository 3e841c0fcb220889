"""Submits jobs with their command line in a ticket (stemma/cluster/ticket.py), instead of with a whole snakemake.

What a node needs is known when a job is submitted, and must not change while it waits. What only a snakemake can do on
the node (containers, conda, another rule's job in a group) still takes one along, with the engine's part of its command
lines frozen. It patches how executors compose their commands; tests/stemma/workflow/test_ticketing.py holds it.
"""

import json
import os
import secrets
import shlex
import shutil
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import SharedFSUsage
from snakemake.shell import shell

from stemma.base.digest import read_json, write_atomically
from stemma.base.patches import put
from stemma.base.typed_json import made
from stemma.cluster.job_log import members
from stemma.cluster.resources import slurm_executor
from stemma.cluster.ticket import SUFFIX, TICKETS, Task, Ticket
from stemma.workflow.rules import script_of

FROZEN = "STEMMA_FROZEN"  # names the file where a snakemake on a node finds the `flags` of its jobs
UNKNOWN = "<TBD>"  # Snakemake's placeholder for a resource that only the node knows


def submit_tickets(workflow, root: Path, cache: Path) -> None:
    """Give jobs that this workflow submits from now on a ticket. Tickets of an earlier run are deleted, so its jobs
    that still wait in a queue do nothing when their turn comes. `cache`: the ~/.cache of snakemakes on nodes."""
    shutil.rmtree(TICKETS, ignore_errors=True)
    if workflow.local_exec:
        return
    run, executor_class = secrets.token_hex(4), workflow.executor_plugin.executor
    inner = executor_class.format_job_exec

    def format_job_exec(executor, job) -> str:
        ours = [member for member in members(job) if script_of(member.rule)]
        if not ours:
            return inner(executor, job)
        path = (TICKETS / f"{run}-{job.jobid}-{job.attempt}{SUFFIX}").absolute()
        ticket = ticket_of(workflow, root, job)
        if needs_snakemake(workflow, job, ticket):
            flags = {str(member.output[0]): member.params.flags for member in ours}
            write_atomically(path, json.dumps(flags).encode())
            own = f"{FROZEN}={shlex.quote(str(path))} XDG_CACHE_HOME={shlex.quote(str(cache))}"
            return f"export {own} && {inner(executor, job)}"
        ticket.write(path)
        return command(executor, job, root, path)

    put(executor_class, "Executor.format_job_exec", format_job_exec)


def frozen_flags(place: str) -> str | None:
    """Return, in a snakemake on a node, the `flags` that the job of a first output had when it was submitted; else
    None."""
    path = os.environ.get(FROZEN)
    if not path:
        return None
    kept = made(dict[str, str], read_json(Path(path)))
    if kept is None or place not in kept:
        raise WorkflowError(f"{path} is gone: the snakemake that submitted this job has ended since; run again")
    return kept[place]


def needs_snakemake(workflow, job, ticket: Ticket) -> bool:
    """Is there something to do on the node that a ticket cannot express?"""
    tasks = [task for layer in ticket.layers for task in layer]
    return (
        bool(workflow.deployment_settings.deployment_method)
        or SharedFSUsage.INPUT_OUTPUT not in workflow.storage_settings.shared_fs_usage
        or any(member.is_shadow or not script_of(member.rule) for member in members(job))
        or any(UNKNOWN in task.command for task in tasks)
    )


def ticket_of(workflow, root: Path, job) -> Ticket:
    """Make the ticket of a job or a group."""
    if job.is_group():
        job.finalize()
    layers = [sorted(layer, key=str) for layer in job.toposorted] if job.is_group() else [[job]]
    return Ticket(
        directory=str(Path.cwd()),
        root=str(root),
        shell=shell.get_executable() or "bash",
        layers=[[task_of(member) for member in layer] for layer in layers],
        threads=job.threads,
        latency=workflow.execution_settings.latency_wait,
        step=step_of(job) if slurm_executor(workflow) else [],
    )


def task_of(job) -> Task:
    """Make one job's part of a ticket."""
    benchmark = str(job.benchmark) if job.benchmark else None
    return Task(job.shellcmd, list(map(str, job.input)), benchmark, job.threads)


def step_of(job) -> list[str]:
    """Return the words by which Slurm's plugin would start the job in its allocation."""
    from snakemake_executor_plugin_slurm_jobstep import get_cpu_setting, get_gpu_setting, get_node_setting

    if job.resources.get("mpi"):
        return ["env"]
    gpus = get_gpu_setting(job)
    return f"srun -n1 --cpu-bind=q {get_cpu_setting(job, bool(gpus))} {gpus} {get_node_setting(job)}".split()


def command(executor, job, root: Path, path: Path) -> str:
    """Return what the node executes, with what the executor puts before and after it."""
    before = executor.workflow.spawned_job_args_factory.precommand(executor_common_settings=executor.common_settings)
    prefix, suffix = executor.get_job_exec_prefix(job), executor.get_job_exec_suffix(job)
    words = ["env", f"PYTHONPATH={root}", executor.get_python_executable(), "-m", "stemma", "job", str(path)]
    words += ["--patience", str(executor.workflow.execution_settings.latency_wait)]
    steps = [prefix, executor.get_envvar_declarations().rstrip(" &"), before, shlex.join(words), suffix]
    return " && ".join(filter(None, steps))
