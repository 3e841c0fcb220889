"""The record of one job: an in-toto Statement v1 with a SLSA provenance v1 predicate, as a plain dict.

It says what was made (subjects), from what (inputs with their own records, code, environment), how (parameters,
numeric class, threads), when, at what cost, and with what result (metrics). It is written once and never changed.
Does not decide what is stale and does not touch artifacts.
"""

import os
import platform
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from stemma import digest
from stemma.closure import Closure

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:stemma:rule:v1"
BUILDER = "urn:stemma:engine:v1"


@dataclass(frozen=True)
class Input:
    """One resolved input: argument name, path, digest, and the digest of the record that made it (None: a source)."""

    name: str
    path: str
    sha256: str
    record: str | None


@dataclass
class Job:
    """What is asked for, before anything runs."""

    rule: str
    script: str
    wildcards: dict
    params: dict
    inputs: dict[str, list[str]]
    sources: dict[str, list[str]]
    outputs: dict[str, list[str]]
    expected: str
    numeric: str
    threads: int


@dataclass
class Outcome:
    """What happened when the script ran."""

    started: str
    finished: str
    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    metrics: dict = field(default_factory=dict)


def action_key(closure: Closure, params: dict, inputs: list[Input], numeric_class: str) -> str:
    """What the store answers to: the code, the parameters, the bytes of the inputs, the numeric class; nothing else."""
    contents: dict[str, list[str]] = {}
    for item in inputs:
        contents.setdefault(item.name, []).append(item.sha256)
    return digest.of_value([closure.key, params, contents, numeric_class])


def statement(
    job: Job,
    closure: Closure,
    key: str,
    numeric_class: str,
    inputs: list[Input],
    outputs: dict[str, list[str]],
    outcome: Outcome,
    environment: str,
    root: Path,
) -> dict:
    """The record. `outputs` are the digests in the order of job.outputs; `environment` the digest of the lock."""
    subjects = [
        {"name": path, "digest": {"sha256": sha256}, "annotations": {"output": name}}
        for name, paths in job.outputs.items()
        for path, sha256 in zip(paths, outputs[name], strict=True)
    ]
    return {
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "rule": job.rule,
                    "script": job.script,
                    "wildcards": job.wildcards,
                    "params": job.params,
                },
                "internalParameters": {
                    "numeric": numeric_class,
                    "threads": job.threads,
                    "distributions": closure.distributions,
                    "python": platform.python_version(),
                },
                "resolvedDependencies": dependencies(closure, inputs, environment, root),
            },
            "runDetails": {
                "builder": {"id": BUILDER},
                "metadata": {"invocationId": key, "startedOn": outcome.started, "finishedOn": outcome.finished},
                "stemma_keys": {"action": key, "expected": job.expected, "closure": closure.key},
                "stemma_usage": {
                    "seconds": outcome.seconds,
                    "cpu_seconds": outcome.cpu_seconds,
                    "peak_memory_bytes": outcome.peak_memory_bytes,
                    "host": host_class(),
                    "slurm_job_id": os.environ.get("SLURM_JOB_ID"),
                },
                "stemma_metrics": outcome.metrics,
            },
        },
    }


def dependencies(closure: Closure, inputs: list[Input], environment: str, root: Path) -> list[dict]:
    """Inputs, code, environment and the state of the checkout, each with its digest."""
    found = [
        {
            "name": item.path,
            "digest": {"sha256": item.sha256},
            "annotations": {"kind": "input" if item.record else "source", "argument": item.name, "record": item.record},
        }
        for item in inputs
    ]
    for kind, files in (("module", closure.modules), ("data", closure.data_files)):
        found += [{"name": n, "digest": {"sha256": d}, "annotations": {"kind": kind}} for n, d in files.items()]
    found.append({"name": "environment", "digest": {"sha256": environment}, "annotations": {"kind": "environment"}})
    commit, diff = checkout(root)
    if commit:
        found.append(
            {
                "name": "checkout",
                "digest": {"gitCommit": commit},
                "annotations": {"kind": "checkout", "diff_sha256": diff},
            }
        )
    return found


def checkout(root: Path) -> tuple[str | None, str | None]:
    """(commit, digest of the uncommitted diff or None if clean) of a git checkout; (None, None) outside one."""
    commit = git(root, "rev-parse", "HEAD")
    if commit is None:
        return None, None
    diff = git(root, "diff", "HEAD") or b""
    return commit.decode().strip(), digest.of_bytes(diff) if diff else None


def git(root: Path, *arguments: str) -> bytes | None:
    """Standard output of a git command; None where git or the repository is missing."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


@cache
def host_class() -> dict:
    """The kind of machine, without its name."""
    return {"machine": platform.machine(), "system": platform.system(), "cpus": os.cpu_count()}


def environment_lock() -> dict[str, str]:
    """Every distribution beside this interpreter with its version, read from the folders' names (cheap)."""
    found = {}
    for folder in sys.path:
        for info in Path(folder).glob("*.dist-info"):
            name, _, version = info.name.removesuffix(".dist-info").partition("-")
            found[name.lower().replace("_", "-")] = version
    return dict(sorted(found.items()))


def external(record: dict) -> dict:
    """Rule, script, wildcards and params of a record."""
    return record["predicate"]["buildDefinition"]["externalParameters"]


def inputs_of(record: dict) -> list[dict]:
    """The resolved inputs and sources of a record."""
    found = record["predicate"]["buildDefinition"]["resolvedDependencies"]
    return [item for item in found if item["annotations"]["kind"] in ("input", "source")]


def metrics_of(record: dict) -> dict:
    """What the script returned."""
    return record["predicate"]["runDetails"]["stemma_metrics"]


def usage_of(record: dict) -> dict:
    """Seconds, CPU seconds, peak memory, host."""
    return record["predicate"]["runDetails"]["stemma_usage"]
