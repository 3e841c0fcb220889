"""Runs one job through the store: verifies inputs, computes the action key, serves a hit or runs the script, records.

`python -m stemma run SCRIPT --rule ... --input name=path ... --output name=path ... --params JSON` is what every rule's
shell line calls. The script itself runs in a child process, in a place of its own (stemma/execute/sandbox.py).
"""

import os
import shutil
import sys
import time
from pathlib import Path

from stemma.base import digest
from stemma.base.digest import SOURCES, StatCache
from stemma.base.errors import Outdated, StemmaError
from stemma.base.settings import Settings
from stemma.code import numeric
from stemma.code.closure import closure_of
from stemma.execute.action import Action, is_whole, stored_record, utc_now
from stemma.execute.child import run_script
from stemma.execute.sandbox import Sandbox, temporary_for
from stemma.execute.steady_sources import Steady
from stemma.provenance.dsse import signer_of
from stemma.provenance.publish import write_back
from stemma.provenance.record import Input, Job, Outcome, Record
from stemma.provenance.trust import Records
from stemma.store import artifact
from stemma.store.artifact import Pointer
from stemma.store.placement import restore

ATTEMPTS = 3
TOLD = "STEMMA_TOLD"  # set where snakemake's own log says what has become of each job


def run_job(job: Job, settings: Settings, root: Path, log: Path) -> str:
    """Put the job's outputs in place; return "hit", or "run" if its script was run. Raises StemmaError.

    `root`: the repository; `log`: the file for the script's output."""
    begun = time.monotonic()
    closure = closure_of(Path(job.script), root)
    as_asked(job, job.script, closure.key, "its code was changed")
    records = Records.of(settings)
    steady = Steady(job)
    inputs = resolve_inputs(job, records)
    action = Action(job, records, root, closure, inputs, numeric.class_of(closure, job.numeric))
    records.store.register(artifact.POINTERS)
    record, ran = settle(action, steady, settings.config, log)
    write_back(records, action.key, record, ran)
    how = "run" if ran else "hit"
    report(job, how, time.monotonic() - begun)
    return how


def settle(action: Action, steady: Steady, config: str, log: Path) -> tuple[Record, bool]:
    """Serve the action or run it, and put its outputs in place; return its record and whether the script ran.

    A concurrent gc may remove what was not yet in use; that shows afterwards, and then the job is done again.
    """
    ran = False
    for _ in range(ATTEMPTS):
        record = stored_record(action)
        if record:
            if put_in_place(action, record, config):
                return record, ran
            continue
        ran = True
        with action.store.workspace() as workspace, temporary_for(workspace) as temporary:
            record = build(action, steady, Sandbox.of(action, workspace, temporary, log), log)
            if put_in_place(action, record, config):
                return record, ran
    raise StemmaError(
        f"{action.store.path} loses files as fast as they are put in; let nothing else clean it, then run again"
    )


def put_in_place(action: Action, record: Record, config: str) -> bool:
    """Publish the outputs in results/; False if the store has lost some of them meanwhile (to a concurrent gc)."""
    try:
        publish(action, record, config)
    except FileNotFoundError:
        if is_whole(action, record):
            raise
        return False
    return is_whole(action, record)


def resolve_inputs(job: Job, records: Records) -> list[Input]:
    """Return the digest of every input: artifacts are verified against their records, sources are hashed."""
    found = []
    for name, paths in sorted(job.inputs.items()):
        for path in paths:
            pointer, link = records.verified(Path(path))
            as_asked(job, path, pointer.expected, f"{path} was built for another config or by other code")
            found.append(Input(name, path, pointer.sha256, link))
    cache = StatCache(SOURCES)
    for name, paths in sorted(job.sources.items()):
        for path in paths:
            found.append(Input(name, path, cache.digest(Path(path)), None))
            as_asked(job, path, found[-1].sha256, f"source {path} was changed")
    cache.save()
    return found


def as_asked(job: Job, path: str, key: str, otherwise: str) -> None:
    """Raise Outdated unless the job finds what it was planned with: later readers trust the expected key that it
    bears."""
    if not key.startswith(job.made_from.get(path, "")):
        raise Outdated(otherwise)


def build(action: Action, steady: Steady, sandbox: Sandbox, log: Path) -> Record:
    """Run the script in its sandbox, store its outputs, write the record and return it."""
    job, store = action.job, action.store
    started, clock = utc_now(), time.monotonic()
    try:
        result = run_script(sandbox, log, describe(job))
    except StemmaError:
        steady.check(action.inputs)  # a source that changed meanwhile explains the failure
        raise
    finally:
        sandbox.tidy()
    outcome = Outcome(
        started,
        utc_now(),
        round(time.monotonic() - clock, 3),
        result.cpu_seconds,
        result.peak_memory_bytes,
        result.metrics,
        sandbox.recorded(),
        sandbox.confinement.described(),
    )
    steady.check(action.inputs)
    for name, paths in sandbox.outputs.items():
        for path, target in zip(paths, job.outputs[name], strict=True):
            artifact.check_built(sandbox.place, path, Path(target))
    sandbox.ended_well()
    outputs = {name: [artifact.absorb(store, path) for path in paths] for name, paths in sandbox.outputs.items()}
    record = action.keep(outputs, outcome)
    shutil.rmtree(store.scratch_path(action.key), ignore_errors=True)
    return record


def publish(action: Action, record: Record, config: str) -> None:
    """Put the outputs at their declared paths, each with its pointer."""
    job, store, key = action.job, action.store, action.key
    envelope = store.record_path(key).read_bytes()
    signer, sha256_of_record = signer_of(envelope) or "", digest.of_bytes(envelope)
    made = record.digests
    for name, paths in job.outputs.items():
        for position, path in enumerate(map(Path, paths)):
            sha256 = made[name][position]
            files = restore(store, path, sha256)
            pointer = Pointer(sha256, key, name, position, sha256_of_record, signer, job.expected, config, files)
            artifact.write_pointer(path, pointer)


def describe(job: Job) -> str:
    """Return the job's name for the user: the path of its first output."""
    return str(artifact.argument(Path(next(iter(job.outputs.values()))[0])))


def stage_of(job: Job) -> str:
    """Return the stage, from the script's path scripts/<stage>/<rule>.py."""
    return Path(job.script).parent.name


def report(job: Job, how: str, seconds: float) -> None:
    """Print one line per job (stage, rule, target, hit or run, seconds), unless the calling snakemake prints it."""
    if not os.environ.get(TOLD):
        print(line(stage_of(job), job.rule, describe(job), how, seconds, more(job)), file=sys.stderr, flush=True)


def more(job: Job) -> int:
    """Return how many outputs the job has beside the one that names it."""
    return sum(map(len, job.outputs.values())) - 1


def line(stage: str, rule: str, target: str, how: str, seconds: float, others: int) -> str:
    """Format what a job has done, in columns. `others`: number of outputs beside the target."""
    shown = f"{target} +{others}" if others else target
    return f"{stage:<12} {rule:<15} {shown:<42} {how}  {seconds:6.1f} s"
