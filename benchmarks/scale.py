"""What the engine costs with ten thousand jobs, beside plain Snakemake on the same rules: nothing to do, a dry run.

Only 10,000 processes are saved. Plain Snakemake is given the files and told by `--touch` that they are its jobs'. The
engine's directory begins as a copy, with Snakemake's own memory of 10,000 finished jobs; objects, signed records and
pointers are written by the code that a job runs once its script has ended. Then each is asked again, in turns.
"""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from benchmarks import shards
from stemma.base import digest
from stemma.code import numeric
from stemma.code.closure import closure_of, reader_of
from stemma.execute import action as module
from stemma.execute import run
from stemma.execute.action import Action
from stemma.planning.call import Call
from stemma.planning.planned_jobs import Wanted
from stemma.provenance import describe
from stemma.provenance.record import Input, Job, Outcome
from stemma.provenance.trust import Records
from stemma.store import artifact
from stemma.workflow.load import load

PLAIN = shards.rules_by("cp {input.text} {output.shard}")
TOUCH = """
from snakemake.cli import main
from snakemake.executors.touch import Executor
Executor.SLEEPING_TIME = 0  # else it waits a tenth of a second for each job
main()
"""
QUIET = ("--quiet", "rules", "host", "reason")


def command_of(count: int, *arguments: str) -> list[str]:
    """Plain Snakemake with the default triggers, as quiet as the engine's profile asks for."""
    return [sys.executable, "-m", "snakemake", "--cores", "2", *QUIET, *arguments, "--config", f"shards={count}"]


def build_plain(directory: Path, count: int) -> None:
    """All shards as plain Snakemake would have left them, unless they are there."""
    if (directory / ".snakemake").exists():
        return
    (directory / "results/shards").mkdir(parents=True)
    (directory / "Snakefile").write_text(PLAIN)
    (directory / "text.txt").write_text("hello\n")
    for number in range(count):
        (directory / f"results/shards/{number}.txt").write_text("hello\n")
    options = ("--touch", "--forceall", "--scheduler", "greedy", "--cores", str(count))
    command = [sys.executable, "-c", TOUCH, *command_of(count, *options)[3:]]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)


def build_ours(directory: Path, plain: Path, count: int) -> None:
    """The same shards as the engine would have left them, in a directory that is not there yet."""
    if (directory / "results/.records/settings.json").exists():
        return
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(plain, directory, ignore=shutil.ignore_patterns("results", "log"))
    shards.write_workflow(directory)
    module.environment_lock, describe.checkout = cache(module.environment_lock), cache(describe.checkout)
    with contextlib.chdir(directory):
        attached = load(Call.of(Path("Snakefile"), [], {"shards": count}))
        records = Records.of(attached.settings)
        for job in jobs_of(attached.keys, count):
            finish(attached, records, job)
        attached.settings.save()
        attached.keys.sources.save()
        attached.keep_plan()
        reader_of(attached.keys.root).save()


def unbuilt(directory: Path) -> Path:
    """A copy of a workflow's directory in which nothing was built."""
    place = directory.with_name(f"{directory.name}-unbuilt")
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(directory, place, ignore=shutil.ignore_patterns("results", ".snakemake", "key.pem"))
    return place


def jobs_of(keys, count: int) -> Iterator[Wanted]:
    """The jobs of the workflow."""
    return (keys.plan.maker(f"results/shards/{number}.txt") for number in range(count))


def finish(attached, records: Records, wanted: Wanted) -> None:
    """What `stemma run` does when a script has ended well."""
    keys = attached.keys
    [(name, path)], [(text, source)] = wanted.outputs, wanted.inputs
    job = Job(
        rule=wanted.rule,
        script=wanted.script,
        wildcards={"number": Path(path).stem},
        params=wanted.params,
        inputs={},
        sources={text: [source]},
        outputs={name: [path]},
        expected=keys.expected(wanted),
        numeric=attached.settings.numeric,
        threads=wanted.threads,
        shell=wanted.shell,
    )
    closure = closure_of(Path(wanted.script), keys.root)
    inputs = [Input(text, source, keys.of_path(source), None)]
    action = Action(job, records, keys.root, closure, inputs, numeric.class_of(closure, job.numeric))
    now = "2026-01-01T00:00:00Z"
    outputs = {name: [records.store.add_bytes(f"{path}\n".encode())]}
    run.publish(action, action.keep(outputs, Outcome(now, now, 1.0, 1.0, 50_000_000, {})), digest.of_value({}))
    assert artifact.read_pointer(Path(path)).expected == job.expected
