"""Makes the record of a job that has run: what it was asked, what it read and made, and what surrounded it.

What is written is fit to be published: no user's name, password, home or other place of this machine.
"""

import os
import platform
import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from stemma.base import digest
from stemma.code import numeric
from stemma.code.closure import Closure
from stemma.provenance.record import Checkout, Input, Job, Module, Outcome, Output, Record, told

USER_INFO = re.compile(r"(?<=://)[^/@\s]+@")
LOCAL_URL = re.compile(r"file://\S*/(?=[^/\s]+)")


def described(
    job: Job,
    closure: Closure,
    key: str,
    numeric_class: str,
    inputs: list[Input],
    outputs: dict[str, list[str]],
    outcome: Outcome,
    objects: dict[str, str],
    root: Path,
) -> Record:
    """Return the record. `outputs`: digests, in the order of job.outputs; `objects`: digests of the stored
    descriptions of the surroundings, by name; `root`: the repository."""
    return Record(
        rule=job.rule,
        script=job.script,
        wildcards=job.wildcards,
        params=public(job.params),
        shell=public(job.shell),
        seed=told(job.params).get("seed"),
        numeric=numeric_class,
        device=outcome.metrics.get("device", "cpu"),
        threads=job.threads,
        environment={name: value for name, value in outcome.environment.items() if not value.startswith("/")},
        guard=outcome.guard,
        distributions=closure.distributions,
        python=platform.python_version(),
        outputs=tuple(
            Output(name, path, sha256)
            for name, paths in job.outputs.items()
            for path, sha256 in zip(paths, outputs[name], strict=True)
        ),
        inputs=tuple(as_source(item) if item.is_source else item for item in inputs),
        modules={name: Module(closure.files[name], meaning) for name, meaning in closure.modules.items()},
        data_files=closure.data_files,
        objects=objects,
        checkout=checkout(root),
        action=key,
        expected=job.expected,
        closure=closure.key,
        started=outcome.started,
        finished=outcome.finished,
        usage={
            "seconds": outcome.seconds,
            "cpu_seconds": outcome.cpu_seconds,
            "gpu_seconds": outcome.metrics.get("gpu_seconds"),
            "peak_memory_bytes": outcome.peak_memory_bytes,
            "host": host_class(),
            **slurm(),
        },
        metrics=public(outcome.metrics),
    )


def as_source(item: Input) -> Input:
    """Return a source as records name it."""
    form = "tree" if Path(item.path).is_dir() else "file"
    return replace(item, path=shown(item.path), form=form, outside=os.path.relpath(item.path).startswith(".."))


def shown(path: str) -> str:
    """Return a source's name in records: its path in the run's directory; for one elsewhere only its last component."""
    relative = Path(os.path.relpath(path))
    return relative.name if ".." in relative.parts else str(relative)


def public(value: Any) -> Any:
    """Return a value fit to be published: URLs without user and password, paths without this machine's directories."""
    if isinstance(value, dict):
        return {name: public(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [public(inner) for inner in value]
    if not isinstance(value, str):
        return value
    text = LOCAL_URL.sub("file:", USER_INFO.sub("", value))
    text = text.replace(f"{Path.cwd()}/", "./")
    home = os.environ.get("HOME", "")
    return text.replace(f"{home}/", "~/") if len(home) > 1 else text


def checkout(root: Path) -> Checkout | None:
    """Return the state of a git checkout; None outside one."""
    commit = git(root, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = git(root, "diff", "HEAD")
    return Checkout(commit.decode().strip(), digest.of_bytes(changes) if changes else None)


def git(root: Path, *arguments: str) -> bytes | None:
    """Return the standard output of a git command; None where git or the repository is missing."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


@cache
def host_class() -> dict:
    """Return the kind of machine, without its name; memory in bytes."""
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "processor": numeric.instruction_set(),
        "cpus": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }


def slurm() -> dict:
    """Return the Slurm job's id and attempt (1 on its first run, one more at each requeue); None for both outside
    Slurm."""
    job = os.environ.get("SLURM_JOB_ID")
    attempt = 1 + int(os.environ.get("SLURM_RESTART_COUNT", 0)) if job else None
    return {"slurm_job_id": job, "slurm_attempt": attempt}


def environment_lock() -> dict[str, str]:
    """Return name -> version of every distribution that this interpreter sees, read from the folders' names (fast)."""
    found = {}
    for folder in sys.path:
        for info in Path(folder).glob("*.dist-info"):
            name, _, version = info.name.removesuffix(".dist-info").partition("-")
            found[name.lower().replace("_", "-")] = version
    return dict(sorted(found.items()))
