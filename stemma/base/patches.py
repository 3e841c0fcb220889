"""Every place where the engine puts a function of its own in the place of one of Snakemake's or of an executor's.

None of these has an extension point. `put` is the one way in: the place must be listed here with its reason, and what
stands there must take the parameters that it takes in the version that envs/runtime.lock pins. So another Snakemake is
refused at the start of a build. What a patch does is tested beside the module that makes it.
"""

import inspect
from dataclasses import dataclass
from typing import Any

from stemma.base.errors import StemmaError


@dataclass(frozen=True)
class Point:
    """`takes`: the parameters of Snakemake's own function, without `self`. `module`: which of ours stands in for it."""

    takes: str
    module: str
    reason: str


STALENESS, FILES = "stemma/workflow/staleness.py", "stemma/workflow/job_files.py"
SUBMISSION, WAITING = "stemma/cluster/submission.py", "stemma/cluster/waiting.py"
NAMES = "stemma/cluster/job_names.py"
LITERALS, HOOKS = "stemma/workflow/escape_wildcards.py", "stemma/workflow/hooks.py"
OUTPUT = "job wait ignore_missing_output no_touch wait_for_local check_output_mtime"
POSTPROCESS = "store_in_storage handle_log handle_touch error ignore_missing_output check_output_mtime"
POINTS = {
    "DAG.update_needrun": Point("create_inventory", STALENESS, "stamps that were taken are kept when all is judged"),
    "DAG.register_running": Point("jobs", STALENESS, "what the store holds is served here when its turn comes"),
    "DAG.update_conda_envs": Point(
        "", "stemma/workflow/unevaluated_params.py", "params are evaluated once, not thrice"
    ),
    "DAG.check_and_touch_output": Point(OUTPUT, FILES, "an artifact's times are those of its bytes"),
    "DAG.cleanup_workdir": Point("", FILES, "empty directories of the user's stay"),
    "Executor.run_group_job": Point("job", STALENESS, "of a group that is served the jobs come in their order"),
    "Job.is_local": Point("", STALENESS, "what the store holds is not submitted"),
    "Job.prepare": Point("", FILES, "what stands in the way of an output is set aside, not removed"),
    "Job.check_protected_output": Point("", FILES, "artifacts are read-only and yet replaced"),
    "Job.postprocess": Point(POSTPROCESS, FILES, "what a view was made for is kept"),
    "PersistenceBase.has_metadata": Point("job", STALENESS, "pointers say what was built"),
    "PersistenceBase.has_outdated_metadata": Point("job", STALENESS, "pointers say what was built"),
    "PersistenceBase.params_changed": Point("job file", STALENESS, "staleness is told by expected keys"),
    "_IOFile.remove": Point("remove_non_empty_dir only_local", FILES, "only what the engine put there is removed"),
    "_IOFile.is_newer": Point("time", FILES, "times do not make stale"),
    "_IOFile.mtime_uncached": Point("skip_storage", FILES, "a link that leads nowhere is set aside"),
    "io.apply_wildcards": Point("pattern wildcards", LITERALS, "braces in a name are text"),
    "io.check": Point("iofile rule is_storage", LITERALS, "braces in a name are text"),
    "Pathvars.apply": Point("path", LITERALS, "angle brackets in a name are text"),
    "Workflow._prepare_dag": Point(
        "forceall ignore_incomplete lock_warn_only nolock shadow_prefix",
        "stemma/workflow/targets.py",
        "an artifact may be asked for by its directory",
    ),
    "Workflow.onstart": Point("func", HOOKS, "the engine's events stand beside the user's"),
    "Workflow.onsuccess": Point("func", HOOKS, "the engine's events stand beside the user's"),
    "Workflow.onerror": Point("func", HOOKS, "the engine's events stand beside the user's"),
    "Executor.print_job_error": Point("job_info msg kwargs", "stemma/cluster/job_log.py", "a failure is one line"),
    "Executor.format_job_exec": Point("job", "stemma/workflow/ticketing.py", "a job's command line is frozen"),
    "Executor.sleep": Point("", "stemma/cluster/polling.py", "Slurm is asked sooner about young jobs"),
    "Executor.run_array_jobs": Point("jobs", "stemma/cluster/arrays.py", "an array's tasks run alone"),
    "plugin.pending_jobs_for_rule": Point("dag rule_name", "stemma/cluster/arrays.py", "an array waits for nothing"),
    "plugin.get_submit_command": Point(
        "job params settings failed_nodes array_job", SUBMISSION, "a name of its own; another node after a failure"
    ),
    "Executor.report_job_submission": Point("job_info register_job", NAMES, "numbers for the efficiency report"),
    "plugin.query_job_status_squeue": Point("runid", NAMES, "jobs have names of their own"),
    "plugin.query_job_status_sacct": Point("runid", NAMES, "jobs have names of their own"),
    "efficiency_report.get_sacct_data": Point("run_uuid logger", NAMES, "jobs have names of their own"),
    "Executor.run_job": Point("job", SUBMISSION, "a group's refusal is told"),
    "Executor._report_job_error_threadsafe": Point("job_info msg", SUBMISSION, "what is refused for now waits"),
    "Executor.check_active_jobs": Point("active_jobs", WAITING, "the terminal says why jobs wait"),
    "Executor.report_job_success": Point("job_info", WAITING, "jobs that have ended are not asked about"),
    "Executor.report_job_error": Point("job_info msg kwargs", WAITING, "jobs that have ended are not asked about"),
}


def put(owner: object, place: str, ours: object) -> None:
    """Put `ours` (a function or a property) in the place of an attribute of a class, module or object, `Class.name` in
    POINTS. StemmaError: what stands there takes other parameters than the engine knows."""
    point, name = POINTS[place], place.rpartition(".")[2]
    known = point.takes.split()
    inner = getattr(owner, name, None)
    found = "nothing" if inner is None else f"({', '.join(parameters(inner))})"
    if found != f"({', '.join(known)})":
        raise StemmaError(
            f"Snakemake has {found} for {place} here, and the engine knows it with ({', '.join(known)}); "
            "install the versions of envs/runtime.lock (make setup)"
        )
    outer: Any = ours.fget if isinstance(ours, property) else ours
    outer.__wrapped__ = inner.fget if isinstance(inner, property) else inner  # who asks next finds Snakemake's own
    setattr(owner, name, ours)


def parameters(function: Any) -> list[str]:
    """Names of a function's parameters, without `self`; of one that `put` has put there, those of Snakemake's own."""
    own: Any = function.fget if isinstance(function, property) else function
    return [name for name in inspect.signature(inspect.unwrap(own)).parameters if name != "self"]
