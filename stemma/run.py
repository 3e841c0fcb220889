"""Run one job through the store: verify inputs, compute the action key, serve a hit or run the script, keep the record.

`python -m stemma run SCRIPT --rule ... --input name=path ... --output name=path ... --params JSON` is what every rule's
shell line calls. The script itself runs in a child process that sees only its own arguments.
"""

import json
import os
import shutil
import sys
import time
from pathlib import Path

from stemma import artifact, digest, numeric
from stemma.action import Action, is_whole, stored_record, utc_now
from stemma.artifact import Pointer
from stemma.beneath import check_way
from stemma.child import run_script
from stemma.closure import closure_of, reader_of
from stemma.digest import SOURCES, StatCache
from stemma.distributions import reached
from stemma.errors import StemmaError
from stemma.places import restore
from stemma.recipe import suffix_of
from stemma.record import Input, Job, Outcome, subjects_of
from stemma.settings import Settings
from stemma.trust import Records
from stemma.view import declared, lay_out
from stemma.writeback import write_back

ATTEMPTS = 3


def run_job(job: Job, settings: Settings, root: Path, log: Path) -> str:
    """Make the job's outputs stand at their paths: "hit", or "run" if its script was run. Raises StemmaError."""
    begun = time.monotonic()
    closure = closure_of(Path(job.script), root)
    as_asked(job, job.script, closure.key, "its code was changed")
    records = Records.of(settings)
    numeric_class = numeric.class_of(closure, job.numeric)
    action = Action(job, records, root, closure, resolve_inputs(job, records), numeric_class)
    records.store.register(artifact.POINTERS)
    record, ran = settle(action, settings.config, log)
    write_back(records, action.key, record, ran)
    how = "run" if ran else "hit"
    report(job, how, time.monotonic() - begun)
    return how


def settle(action: Action, config: str, log: Path) -> tuple[dict, bool]:
    """Serve the action or run it, and put its outputs in place: its record, and whether it ran.

    A gc at the same time may take what was not yet in use; that shows afterwards, and then the job is done again.
    """
    ran = False
    for _ in range(ATTEMPTS):
        record = stored_record(action)
        if record:
            if put_in_place(action, record, config):
                return record, ran
            continue
        ran = True
        with action.store.workspace() as workspace:
            record = build(action, workspace, log)
            if put_in_place(action, record, config):
                return record, ran
    raise StemmaError(
        f"{action.store.path} loses files as fast as they are put in; let nothing else clean it, then run again"
    )


def put_in_place(action: Action, record: dict, config: str) -> bool:
    """Publish, and see afterwards that all is still in the store."""
    try:
        publish(action, record, config)
    except FileNotFoundError:
        if is_whole(action, record):
            raise
        return False
    return is_whole(action, record)


def resolve_inputs(job: Job, records: Records) -> list[Input]:
    """Digest of every input: artifacts are verified against their records, sources are measured."""
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
    """Raise StemmaError unless the job finds what it was asked to be made from: its expected key says so, and who reads
    it later believes that."""
    if not key.startswith(job.made_from.get(path, "")):
        raise StemmaError(f"{otherwise} after this snakemake began; run snakemake again")


def build(action: Action, workspace: Path, log: Path) -> dict:
    """Run the script in a workspace of the store, take its outputs in, write the record and return it."""
    job, store, root = action.job, action.store, action.root
    staged = stage(job, workspace)
    arguments = script_arguments(job, lay_out(job.inputs, workspace), staged)
    variables = environment(job, root, workspace)
    compiled = compiled_code(action)
    check_way(log.with_suffix(""))
    started, clock = utc_now(), time.monotonic()
    permitted = policy(action, [workspace, compiled, *(path for _, path in places(action, log))])
    # What the result does not depend on is not in the record.
    private = variables | {"NUMBA_CACHE_DIR": str(compiled)} | {name: str(path) for name, path in places(action, log)}
    try:
        result = run_script(root / job.script, arguments, permitted, private, log, describe(job))
    except StemmaError as error:
        raise StemmaError(declared(str(error), workspace)) from None
    outcome = Outcome(
        started,
        utc_now(),
        round(time.monotonic() - clock, 3),
        result.cpu_seconds,
        result.peak_memory_bytes,
        result.metrics,
        variables,
    )
    for name, paths in staged.items():
        for path, target in zip(paths, job.outputs[name], strict=True):
            artifact.check_built(workspace, path, Path(target))
    outputs = {name: [artifact.absorb(store, path) for path in paths] for name, paths in staged.items()}
    record = action.keep(outputs, outcome)
    shutil.rmtree(store.scratch_path(action.key), ignore_errors=True)
    return record


def stage(job: Job, workspace: Path) -> dict[str, list[Path]]:
    """A place in the workspace for every output: an empty directory for a manifest, a name to write to for a file, of
    which only the suffix is the output's own."""
    staged: dict[str, list[Path]] = {}
    for name, paths in job.outputs.items():
        for number, path in enumerate(map(Path, paths)):
            place = workspace / name / str(number)
            place.mkdir(parents=True)
            staged.setdefault(name, []).append(
                place if artifact.is_directory(path) else place / (name + suffix_of(path))
            )
    return staged


def script_arguments(job: Job, inputs: dict[str, list[Path]], staged: dict[str, list[Path]]) -> list[str]:
    """The script's command line: the same options a person would type."""
    values = {name: [str(path) for path in paths] for name, paths in inputs.items()}
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


def compiled_code(action: Action) -> Path:
    """Where numba may keep what it compiles, for every script that runs the same compiled code.

    Numba looks at a function's own file to see whether what it keeps is stale, not at the files of functions that it
    calls. So the directory is named after all code of the folder whose modules import numba: nothing else is compiled.
    """
    closure, root = action.closure, action.root
    reader = reader_of(root)
    folders = {Path(name).parent for name in closure.modules if "numba" in reader.module(Path(name)).imports}
    code = {str(file): digest.of_file(root / file) for folder in folders for file in python_files(root, folder)}
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base.absolute() / "stemma" / "numba" / digest.of_value([code, reached(["numba"] if folders else [])])[:16]


def python_files(root: Path, folder: Path) -> list[Path]:
    """The modules in a folder, relative to the repository, sorted."""
    return sorted(file.relative_to(root) for file in (root / folder).glob("*.py"))


def places(action: Action, log: Path) -> list[tuple[str, Path]]:
    """Variable and directory of what a script may keep outside its outputs; it makes the directory if it wants it.

    Scratch bears the action key and outlives a kill: what a job finds there was left by one with the same code,
    parameters and inputs. Logs lie beside the log file, for those who watch the job.
    """
    scratch = action.store.scratch_path(action.key)
    return [("STEMMA_SCRATCH", scratch.absolute()), ("STEMMA_LOGS", log.with_suffix("").absolute())]


def policy(action: Action, writable: list[Path]) -> dict:
    """What the script may open here, for stemma/guard.py: its code, its inputs, and directories that are its own."""
    closure, root = action.closure, action.root
    inputs = [artifact.argument(Path(item.path)) for item in action.inputs]
    return {
        "zones": [str(root), str(Path.cwd())],
        "files": [str(root / name) for name in (*closure.modules, *closure.data_files)],
        "trees": [sys.prefix, sys.base_prefix, *(str(path.absolute()) for path in (*inputs, *writable))],
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
            files = restore(store, path, sha256)
            pointer = Pointer(sha256, key, name, position, sha256_of_record, job.expected, config, files)
            artifact.write_pointer(path, pointer)


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
    print(line(stage_of(job), job.rule, target, how, seconds), file=sys.stderr, flush=True)


def line(stage: str, rule: str, target: str, how: str, seconds: float) -> str:
    """What a job has done, in columns."""
    return f"{stage:<12} {rule:<15} {target:<42} {how}  {seconds:6.1f} s"
