"""Makes and reads the record of one job: an in-toto Statement v1 with a SLSA provenance v1 predicate, as a plain dict.

It says what was made (subjects), from what (inputs with their own records, code, environment), how (parameters,
numeric class, threads), when, at what cost, and with what result (metrics). It is written once and never changed.
docs/records.md describes it, schemas/record.json checks it. Fields that SLSA does not have bear the prefix `stemma_`,
as its rules for extensions ask. Staleness is judged elsewhere, from keys.
"""

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from stemma.base import digest
from stemma.code import numeric
from stemma.code.closure import Closure

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:stemma:rule:v1"
BUILDER = "urn:stemma:engine:v1"
SCHEMA = Path(__file__).with_name("schemas") / "record.json"
USER_INFO = re.compile(r"(?<=://)[^/@\s]+@")
LOCAL_URL = re.compile(r"file://\S*/(?=[^/\s]+)")


@dataclass(frozen=True)
class Input:
    """One resolved input: argument name, path, digest, and the digest of the record that made it (None: a source)."""

    name: str
    path: str
    sha256: str
    record: str | None


@dataclass
class Job:
    """A job as it is asked for, before anything runs. `made_from`: what it expects to find, by path: prefixes of the
    closure's key, of each input's expected key, of each source's digest. If it is empty, anything will do."""

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
    shell: str = ""
    made_from: dict[str, str] = field(default_factory=dict)


@dataclass
class Outcome:
    """What happened when the script ran, the variables that its process was given, and what confined it to its
    inputs."""

    started: str
    finished: str
    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    metrics: dict = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    guard: str = "no script ran"


def statement(
    job: Job,
    closure: Closure,
    key: str,
    numeric_class: str,
    inputs: list[Input],
    outputs: dict[str, list[str]],
    outcome: Outcome,
    objects: dict[str, str],
    root: Path,
) -> dict:
    """Return the record. `outputs`: digests, in the order of job.outputs; `objects`: digests of the stored
    descriptions, such as `environment` (the lock) and `closure` (its parts, function by function)."""
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
                    "params": public(job.params),
                    "shell": public(job.shell),
                },
                "internalParameters": {
                    "seed": told(job.params).get("seed"),
                    "numeric": numeric_class,
                    "device": outcome.metrics.get("device", "cpu"),
                    "threads": job.threads,
                    "environment": {n: v for n, v in outcome.environment.items() if not v.startswith("/")},
                    "guard": outcome.guard,
                    "distributions": closure.distributions,
                    "python": platform.python_version(),
                },
                "resolvedDependencies": dependencies(closure, inputs, objects, root),
            },
            "runDetails": {
                "builder": {"id": BUILDER},
                "metadata": {
                    "invocationId": f"{key}/{outcome.started}",
                    "startedOn": outcome.started,
                    "finishedOn": outcome.finished,
                },
                "stemma_keys": {"action": key, "expected": job.expected, "closure": closure.key},
                "stemma_usage": {
                    "seconds": outcome.seconds,
                    "cpu_seconds": outcome.cpu_seconds,
                    "gpu_seconds": outcome.metrics.get("gpu_seconds"),
                    "peak_memory_bytes": outcome.peak_memory_bytes,
                    "host": host_class(),
                    **slurm(),
                },
                "stemma_metrics": public(outcome.metrics),
            },
        },
    }


def dependencies(closure: Closure, inputs: list[Input], objects: dict[str, str], root: Path) -> list[dict]:
    """Return inputs, code, environment and the state of the checkout as resolved dependencies, each with its digest."""
    found = [of_source(item) if item.record is None else of_input(item) for item in inputs]
    for name, meaning in closure.modules.items():
        found.append(depends(name, closure.files[name], "module", meaning=meaning))
    found += [depends(name, sha256, "data") for name, sha256 in closure.data_files.items()]
    found += [depends(name, sha256, name) for name, sha256 in sorted(objects.items())]
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


def depends(name: str, sha256: str, kind: str, **annotations: object) -> dict:
    """Return one resolved dependency: an in-toto ResourceDescriptor."""
    return {"name": name, "digest": {"sha256": sha256}, "annotations": {"kind": kind, **annotations}}


def of_input(item: Input) -> dict:
    """Return a consumed artifact as a dependency, chained to the record that made it."""
    return depends(item.path, item.sha256, "input", argument=item.name, record=item.record)


def of_source(item: Input) -> dict:
    """Return a file or tree from outside the workflow as a dependency."""
    name = shown(item.path)
    form = "tree" if Path(item.path).is_dir() else "file"
    outside = os.path.relpath(item.path).startswith("..")
    return depends(name, item.sha256, "source", argument=item.name, form=form, outside=outside)


def shown(path: str) -> str:
    """Return a source's name in records: its path in the run's directory; for one elsewhere only its last component."""
    relative = Path(os.path.relpath(path))
    return relative.name if ".." in relative.parts else str(relative)


def public(value: object) -> object:
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


def checkout(root: Path) -> tuple[str | None, str | None]:
    """Return (commit, digest of the uncommitted diff or None if clean) of a git checkout; (None, None) outside one."""
    commit = git(root, "rev-parse", "HEAD")
    if commit is None:
        return None, None
    diff = git(root, "diff", "HEAD") or b""
    return commit.decode().strip(), digest.of_bytes(diff) if diff else None


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


@cache
def schema() -> Callable[[object], object]:
    """Return the compiled check of the record schema. It raises JsonSchemaValueException for a violation."""
    import fastjsonschema  # imported here: only hits need it

    return fastjsonschema.compile(json.loads(SCHEMA.read_bytes()))


def mistake(record: dict) -> str | None:
    """Return the first violation of the schema by a record, in one line; None if there is none."""
    from fastjsonschema import JsonSchemaValueException

    try:
        schema()(record)
    except JsonSchemaValueException as error:
        return error.message[:200]
    return None


def told(params: dict) -> dict:
    """Return what a job is told, by name: its params, and for those that are slices of the config their keys."""
    found: dict = {}
    for name, value in params.items():
        found |= value if isinstance(value, dict) else {name: value}
    return found


def external(record: dict) -> dict:
    """Return the rule, script, wildcards and params of a record."""
    return record["predicate"]["buildDefinition"]["externalParameters"]


def inputs_of(record: dict) -> list[dict]:
    """Return the resolved inputs and sources of a record."""
    found = record["predicate"]["buildDefinition"]["resolvedDependencies"]
    return [item for item in found if item["annotations"]["kind"] in ("input", "source")]


def checkouts(record: dict) -> list[dict]:
    """Return the checkout that the job's code was read from as a resolved dependency; none outside one."""
    found = record["predicate"]["buildDefinition"]["resolvedDependencies"]
    return [item for item in found if item["annotations"]["kind"] == "checkout"]


def finished(record: dict) -> str:
    """Return when the job ended, in UTC as RFC 3339 has it."""
    return record["predicate"]["runDetails"]["metadata"]["finishedOn"]


def action_of(record: dict) -> str:
    """Return the action key of a record."""
    return record["predicate"]["runDetails"]["stemma_keys"]["action"]


def metrics_of(record: dict) -> dict:
    """Return the metrics of a record: what the script returned."""
    return record["predicate"]["runDetails"]["stemma_metrics"]


def usage_of(record: dict) -> dict:
    """Return the cost of a record's job: seconds, CPU seconds, GPU seconds, peak memory in bytes, host."""
    return record["predicate"]["runDetails"]["stemma_usage"]


def subjects_of(record: dict) -> dict[str, list[str]]:
    """Return output argument -> digests, in the order in which the rule declares them."""
    found: dict[str, list[str]] = {}
    for subject in record["subject"]:
        found.setdefault(subject["annotations"]["output"], []).append(subject["digest"]["sha256"])
    return found
