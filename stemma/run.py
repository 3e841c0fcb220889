"""Run one job through the store: verify inputs, compute the action key, serve a hit or run the script, keep the record.

`python -m stemma run SCRIPT --rule ... --input name=path ... --output name=path ... --params JSON` is what every rule's
shell line calls. The script itself runs in a child process that sees only its own arguments.
"""

import json
import shutil
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from stemma import artifact, digest, numeric
from stemma.artifact import Pointer
from stemma.child import run_script
from stemma.closure import Closure, closure_of
from stemma.digest import SOURCES, StatCache
from stemma.envelope import Keyring, fault, opened, seal
from stemma.errors import StemmaError
from stemma.record import Input, Job, Outcome, action_key, action_of, environment_lock, statement, subjects_of
from stemma.settings import Settings
from stemma.store import Store


@dataclass(frozen=True)
class Action:
    """A job with all that its key is made of, and where its result is kept."""

    job: Job
    store: Store
    keyring: Keyring
    root: Path
    closure: Closure
    inputs: list[Input]
    numeric_class: str

    @cached_property
    def key(self) -> str:
        """What the store answers to."""
        return action_key(self.closure, self.job.params, self.inputs, self.numeric_class)

    def keep(self, outputs: dict[str, list[str]], outcome: Outcome) -> dict:
        """Write the record of outputs that are in the store, and return it. Where the same was made before, and its
        bytes were lost since, the first record stays: the records of its descendants name it by its digest."""
        known = trusted_record(self)
        if known and subjects_of(known) == outputs:
            return known
        objects = {
            "environment": self.store.add_bytes(digest.canonical(environment_lock())),
            "closure": self.store.add_bytes(self.closure.description),
        }
        record = statement(
            self.job, self.closure, self.key, self.numeric_class, self.inputs, outputs, outcome, objects, self.root
        )
        self.store.write_record(self.key, seal(digest.canonical(record), self.keyring))
        return record


def run_job(job: Job, settings: Settings, root: Path, log: Path) -> None:
    """Make the job's outputs stand at their paths, as a hit or by running its script. Raises StemmaError."""
    begun = time.monotonic()
    closure = closure_of(Path(job.script), root)
    store = Store.of(settings)
    keyring = Keyring(Path(settings.key), tuple(map(Path, settings.trusted)))
    action = Action(job, store, keyring, root, closure, resolve_inputs(job), numeric.class_of(closure, job.numeric))
    record = stored_record(action)
    how = "hit" if record else "run"
    publish(action, record or build(action, log), settings.config)
    report(job, how, time.monotonic() - begun)


def stored_record(action: Action) -> dict | None:
    """The record of this action if the store can serve all its outputs; None where the script has to run."""
    record = trusted_record(action)
    if record and all_restorable(action.store, action.job, record):
        return record
    return record_pinned(action) if is_pinned_and_stored(action.store, action.job) else None


def trusted_record(action: Action) -> dict | None:
    """The record of this action, if there is one that a trusted key has signed and that answers this very action."""
    envelope = action.store.read_envelope(action.key)
    if envelope is None or fault(envelope, action.keyring):
        return None
    record = opened(envelope)
    return record if action_of(record) == action.key else None


def resolve_inputs(job: Job) -> list[Input]:
    """Digest of every input: artifacts are verified against their records, sources are measured."""
    found = []
    for name, paths in sorted(job.inputs.items()):
        for path in paths:
            pointer = artifact.verify(Path(path))
            found.append(Input(name, path, pointer.sha256, pointer.record))
    cache = StatCache(SOURCES)
    for name, paths in sorted(job.sources.items()):
        found += [Input(name, path, cache.digest(Path(path)), None) for path in paths]
    cache.save()
    return found


def all_restorable(store: Store, job: Job, record: dict) -> bool:
    """Can every output of the job be served from the store?"""
    subjects = subjects_of(record)
    if {name: len(paths) for name, paths in job.outputs.items()} != {n: len(d) for n, d in subjects.items()}:
        return False
    return all(
        artifact.restorable(store, Path(path), sha256)
        for name, paths in job.outputs.items()
        for path, sha256 in zip(paths, subjects[name], strict=True)
    )


def is_pinned_and_stored(store: Store, job: Job) -> bool:
    """Is the job's one file known beforehand by its `sha256` param, and here? Then nothing needs to be fetched again,
    whatever has changed in the code that would fetch it."""
    paths = [Path(path) for paths in job.outputs.values() for path in paths]
    pin = job.params.get("sha256")
    return bool(pin) and len(paths) == 1 and not artifact.is_directory(paths[0]) and store.is_sound(pin)


def record_pinned(action: Action) -> dict:
    """Write and return the record of a pinned file that the store holds already."""
    now = utc_now()
    outputs = {name: [action.job.params["sha256"]] for name in action.job.outputs}
    return action.keep(outputs, Outcome(now, now, 0.0, 0.0, 0, {"from": "the store, by its sha256"}))


def build(action: Action, log: Path) -> dict:
    """Run the script in a workspace of the store, take its outputs in, write the record and return it."""
    job, store, root = action.job, action.store, action.root
    workspace = store.workspace()
    try:
        staged = stage(job, workspace)
        arguments = script_arguments(job, staged)
        variables = environment(job, root, workspace)
        started, clock = utc_now(), time.monotonic()
        result = run_script(
            root / job.script,
            arguments,
            policy(action, workspace),
            variables,
            log,
            describe(job),
        )
        outcome = Outcome(
            started,
            utc_now(),
            round(time.monotonic() - clock, 3),
            result.cpu_seconds,
            result.peak_memory_bytes,
            result.metrics,
            variables,
        )
        for paths in staged.values():
            for path in paths:
                if path.is_dir() and not any(path.iterdir()) or not path.exists():
                    raise StemmaError(f"{job.script} ended well but wrote no {path.name}; see {log}")
        outputs = {name: [artifact.absorb(store, path) for path in paths] for name, paths in staged.items()}
        return action.keep(outputs, outcome)
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


def stage(job: Job, workspace: Path) -> dict[str, list[Path]]:
    """A place in the workspace for every output: an empty directory for a manifest, a name to write to for a file."""
    staged: dict[str, list[Path]] = {}
    for name, paths in job.outputs.items():
        for number, path in enumerate(map(Path, paths)):
            place = workspace / name / str(number)
            place.mkdir(parents=True)
            staged.setdefault(name, []).append(place if artifact.is_directory(path) else place / path.name)
    return staged


def script_arguments(job: Job, staged: dict[str, list[Path]]) -> list[str]:
    """The script's command line: the same options a person would type."""
    values = {name: [str(artifact.argument(Path(path))) for path in paths] for name, paths in job.inputs.items()}
    for name, paths in job.sources.items():
        values.setdefault(name, []).extend(paths)
    values |= {name: [str(path) for path in paths] for name, paths in staged.items()}
    for name, value in job.params.items():
        values[name] = [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)]
    arguments = []
    for name, texts in values.items():
        option = f"--{name.replace('_', '-')}"
        # `--name=value` for one value, so that a value may begin with a dash.
        arguments += [f"{option}={texts[0]}"] if len(texts) == 1 else [option, *texts]
    return arguments


def policy(action: Action, workspace: Path) -> dict:
    """What the script may open here, for stemma/guard.py: its code, its inputs, its workspace, nothing else."""
    closure, root = action.closure, action.root
    inputs = [artifact.argument(Path(item.path)) for item in action.inputs]
    return {
        "zones": [str(root), str(Path.cwd())],
        "files": [str(root / name) for name in (*closure.modules, *closure.data_files)],
        "trees": [sys.prefix, sys.base_prefix, *(str(path.absolute()) for path in (*inputs, workspace))],
        "network": closure.network,
    }


def environment(job: Job, root: Path, workspace: Path) -> dict[str, str]:
    """Variables that fix what a process would else take from its surroundings."""
    threads = str(job.threads)
    return numeric.environment(job.numeric) | {
        "PYTHONPATH": str(root),
        "TMPDIR": str(workspace.absolute()),
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "POLARS_MAX_THREADS": threads,
        "RAYON_NUM_THREADS": threads,
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "MPLBACKEND": "svg",
    }


def publish(action: Action, record: dict, config: str) -> None:
    """Link the outputs to their declared paths, each with its pointer."""
    job, store, key = action.job, action.store, action.key
    sha256_of_record = digest.of_file(store.record_path(key))
    subjects = subjects_of(record)
    for name, paths in job.outputs.items():
        for position, path in enumerate(map(Path, paths)):
            sha256 = subjects[name][position]
            artifact.restore(store, path, sha256)
            artifact.write_pointer(path, Pointer(sha256, key, name, position, sha256_of_record, job.expected, config))


def describe(job: Job) -> str:
    """What the person who waits calls this job: the place of its first output."""
    return str(artifact.argument(Path(next(iter(job.outputs.values()))[0])))


def stage_of(job: Job) -> str:
    """The stage, from the script's path scripts/<stage>/<rule>.py."""
    return Path(job.script).parent.name


def report(job: Job, how: str, seconds: float) -> None:
    """One line per job: stage, rule, target, hit or run, seconds."""
    more = sum(map(len, job.outputs.values())) - 1
    target = describe(job) + (f" +{more}" if more else "")
    print(f"{stage_of(job):<12} {job.rule:<15} {target:<42} {how}  {seconds:6.1f} s", file=sys.stderr, flush=True)


def utc_now() -> str:
    """The time as RFC 3339, in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
