"""What the engine costs: `python benchmarks/engine.py [overhead|hashing|questions|noop|keys|scale ...]`.

Each line: what was measured, its figure, the limit that the engine is held to. CPU seconds count all processes, so they
hardly depend on what else the machine does; wall seconds do. Everything is real: Snakemake, jobs, signed records.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a script's own folder stands there, not the checkout

from benchmarks import records, shards  # noqa: E402
from benchmarks import scale as many
from stemma.base import digest  # noqa: E402
from stemma.base.settings import ROOT, Settings  # noqa: E402
from stemma.store.local import Store  # noqa: E402

GIGABYTE = 10**9
REPEATS = 9
ROUNDS = 5  # of what takes ten seconds each time
RULE = """
rule {name}:
{inputs}    output:
        shards="{output}",
    params:
        source=lambda w: f"shard-{{w.n}}",
        threshold=0.5,
        languages=["en", "de"],
    log:
        "results/logs/{name}-{{n}}.log",
    shell:
        "python -m stemma run scripts/{script}.py {{params.flags}}"
"""
KEYS = """
import json, time
from pathlib import Path
from stemma.planning.call import Call
from stemma.code.closure import reader_of
from stemma.workflow.load import load
attached = load(Call.of(Path({snakefile!r}), [], {{}}))
keys = attached.keys
workflow = next(iter(keys.plan.exact.values())).workflow
paths = [str(path) for path in workflow.get_rule(workflow.default_target).expand_input({{}})[0]]
begun = time.process_time()
for path in paths:
    keys.of_path(path)
cost = time.process_time() - begun
reader_of(keys.root).save()
print(json.dumps([cost, len(keys.known)]))
"""


KEEP = """
from stemma.planning.call import Call
from stemma.workflow.load import load
attached = load(Call.of(None, [], {{}}))
for number in range({count}):
    attached.keys.of_path({last!r}.replace("NUMBER", f"{{number:04}}"))
attached.keep_plan()
"""


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    wall: float
    cpu: float


def cost_of(command: list[str], directory: Path, environment: dict[str, str] | None = None) -> Cost:
    """Run a command to its end; it must succeed. CPU seconds are those of all its processes."""
    before, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.monotonic() - clock, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def median(measure: Callable[[int], Cost], repeats: int = REPEATS) -> Cost:
    """The median of each figure, after one run that does not count."""
    measure(0)
    found = [measure(number + 1) for number in range(repeats)]
    return Cost(statistics.median(c.wall for c in found), statistics.median(c.cpu for c in found))


def say(what: str, figure: str, limit: str = "") -> None:
    """One line of the table."""
    print(f"{what:<62} {figure:>16}   {limit}".rstrip(), flush=True)


def overhead(directory: Path) -> None:
    """A job's CPU seconds beside those of its script started by hand."""
    shards.write_workflow(directory)
    environment = shards.environment(directory)
    settings = Settings(key="key.pem", store="results/.store")

    def job(number: int) -> list[str]:
        return [
            sys.executable, "-m", "stemma", "run", "scripts/bench/shard.py", "--rule", "shard", "--expected", "0" * 64,
            "--settings", settings.to_json(), "--threads", "1", "--log", "results/logs/log", "--wildcards", "{}",
            "--params", json.dumps({"number": number}), "--source", "text=text.txt",
            "--output", f"shard=results/shards/{number}.txt",
        ]  # fmt: skip

    def alone(number: int) -> Cost:
        script = [
            sys.executable,
            "scripts/bench/shard.py",
            "--text=text.txt",
            "--shard=alone.txt",
            f"--number={number}",
        ]
        return cost_of(script, directory, environment)

    script = median(alone)
    ran = median(lambda number: cost_of(job(number), directory, environment))
    hit = median(lambda _: cost_of(job(1), directory, environment))
    nothing = median(lambda _: cost_of([sys.executable, "-c", "pass"], directory, environment))
    say("a trivial script by itself", f"{script.cpu:.3f} s CPU")
    say("Python's start alone", f"{nothing.cpu:.3f} s CPU")
    say("engine overhead of a job that runs", f"{ran.cpu - script.cpu:.3f} s CPU", "at most 0.3")
    say("a hit, whole", f"{hit.cpu:.3f} s CPU")


def hashing(directory: Path) -> None:
    """A gigabyte into the store and checked there, beside sha256sum and openssl on the same file."""
    store, file = Store(directory / "store"), directory / "gigabyte"
    with file.open("wb") as out:
        for _ in range(100):
            out.write(os.urandom(GIGABYTE // 100))
    peers = {
        "sha256sum": cost_of(["sha256sum", str(file)], directory),
        "openssl dgst -sha256": cost_of(["openssl", "dgst", "-sha256", str(file)], directory),
    }
    clock, cpu = time.monotonic(), time.process_time()
    digest.of_file(file)
    peers["digest.of_file"] = Cost(time.monotonic() - clock, time.process_time() - cpu)
    clock, cpu = time.monotonic(), time.process_time()
    sha256 = store.add(file)
    added = Cost(time.monotonic() - clock, time.process_time() - cpu)
    clock, cpu = time.monotonic(), time.process_time()
    assert store.is_sound(sha256)
    checked = Cost(time.monotonic() - clock, time.process_time() - cpu)
    for name, found in peers.items():
        say(f"{name} of 1 GB", f"{1 / found.cpu:.2f} GB/s CPU")
    say("store.add of 1 GB", f"{1 / added.cpu:.2f} GB/s CPU", "at least 1")
    say("store.is_sound of 1 GB", f"{1 / checked.cpu:.2f} GB/s CPU", "at least 1")
    say("store.add in times of sha256sum", f"{added.cpu / peers['sha256sum'].cpu:.2f}")


def questions(directory: Path, count: int) -> None:
    """Ten records for each shard; each question from Python's start to its end."""
    begun = time.monotonic()
    if not (directory / "results/.records/settings.json").exists():
        records.synthesise(directory, count)
        say(f"writing {10 * count:,} records", f"{time.monotonic() - begun:.0f} s wall")
    index, middle = directory / "results/.records/index.sqlite", f"results/quantize/shard-{count // 2:04}"
    stemma = [sys.executable, "-m", "stemma"]
    index.unlink(missing_ok=True)
    first = cost_of([*stemma, "lineage", middle], directory)
    say(f"the first question after {10 * count:,} new records", f"{first.wall:.2f} s wall", "no limit: once")
    asked = {
        "lineage of the last artifact of a shard": ["lineage", middle],
        "used-by of a source's name": ["used-by", f"shard-{count // 2:04}"],
        "used-by of a digest": ["used-by", digest.of_file(directory / middle / "manifest.json")[:16]],
        f"used-by of a code file that all {10 * count:,} used": ["used-by", "llm/errors.py"],
        "the same as JSON": ["used-by", "llm/errors.py", "--json"],
        "lineage of a path that is wrong by a letter": ["lineage", f"{middle}x"],
    }
    for what, words in asked.items():
        status = "; test $? = 2" if words[-1].endswith("x") else ""
        found = median(lambda _, words=words, status=status: cost_of(  # noqa: B023
            ["sh", "-c", '"$@"' + status, "sh", *stemma, *words], directory), 5)  # fmt: skip
        say(what, f"{found.wall:.2f} s wall", "at most 1")
    write_snakefile(directory)
    last = records.path_of(len(records.SCRIPTS) - 1, 0).replace("0000", "NUMBER")
    cost_of([sys.executable, "-c", KEEP.format(count=count, last=last)], directory)  # as a build does when it begins
    found = median(lambda _: cost_of([*stemma, "why", middle], directory), 5)
    say(f"why of the last artifact of a shard, of {10 * count:,} jobs", f"{found.wall:.2f} s wall", "at most 1")
    found = median(lambda _: cost_of([*stemma, "why", middle, "--after", "a=1"], directory), 3)
    say("the same with --after: Snakemake reads the workflow", f"{found.wall:.2f} s wall")


def write_snakefile(directory: Path) -> None:
    """The workflow that the synthesised records are of, for `why`."""
    parts = ["from stemma.base.settings import Settings\nfrom stemma.workflow.attach import attach\n"]
    for stage, script in enumerate(records.SCRIPTS):
        values = {"name": Path(script).name, "script": script, "output": pattern(stage)}
        inputs = f'    input:\n        documents="{pattern(stage - 1)}",\n' if stage else ""
        parts.append(RULE.format(**values, inputs=inputs))
    parts.append('attach(workflow, Settings(key="key.pem"))\n')
    (directory / "Snakefile").write_text("\n".join(parts))
    for name in ("scripts", "llm", "kernels"):
        if not (directory / name).exists():
            (directory / name).symlink_to(ROOT / name)


def pattern(stage: int) -> str:
    """The output of a stage with its wildcard."""
    return records.path_of(stage, 0).replace("0000", "{n}")


def noop(directory: Path, count: int) -> None:
    """Build so many shards for real, then ask for them again."""
    begun = time.monotonic()
    shards.build(directory, count)
    say(f"building {count:,} targets (or what was left of it)", f"{time.monotonic() - begun:.0f} s wall")
    again = [cost_of(shards.command_of(count), directory, shards.environment(directory)) for _ in range(3)]
    say(f"no-op on {count:,} targets", f"{min(found.wall for found in again):.2f} s wall", "at most 10")
    say("its processor time", f"{min(found.cpu for found in again):.2f} s CPU")


def keys(directory: Path) -> None:
    """Closures and keys of the default workflow: in a directory that knows nothing, and in one that was built in."""
    code = KEYS.format(snakefile=str(ROOT / "Snakefile"))
    (directory / "results/.records").mkdir(parents=True, exist_ok=True)
    for what in ("with nothing remembered", "from the second invocation on"):
        done = subprocess.run([sys.executable, "-c", code], cwd=directory, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        seconds, jobs = json.loads(done.stdout)
        say(f"closures and keys of {jobs} jobs, {what}", f"{seconds:.3f} s CPU", "at most 0.5")


def scale(directory: Path, count: int) -> None:
    """So many jobs, beside plain Snakemake on the same rules, in turns: with nothing to do, and a dry run of all."""
    begun = time.monotonic()
    plain, ours = directory / "plain", directory / "ours"
    many.build_plain(plain, count)
    many.build_ours(ours, plain, count)
    say(f"{count:,} jobs as a build leaves them, in both", f"{time.monotonic() - begun:.0f} s wall")
    environment = shards.environment(ours)
    environment.pop("STEMMA_ROOT")
    for what, options, places in (
        ("nothing to do", (), (plain, ours)),
        ("a dry run of all", ("-n",), (many.unbuilt(plain), many.unbuilt(ours))),
    ):
        rounds = [
            (
                cost_of(many.command_of(count, *options), places[0]),
                cost_of(shards.command_of(count, *options), places[1], environment),
            )
            for _ in range(ROUNDS)
        ]
        theirs, own = (statistics.median(each) for each in zip(*((a.cpu, b.cpu) for a, b in rounds), strict=True))
        ratio = statistics.median(b.cpu / a.cpu for a, b in rounds)
        say(f"{what}: plain Snakemake", f"{theirs:.2f} s CPU")
        say(f"{what}: the engine", f"{own:.2f} s CPU", "at most 15" if not options else "")
        say(f"{what}: in times of plain Snakemake", f"{ratio:.2f}", "at most 1.3")


def main() -> None:
    """Measure what was asked for."""
    names = ("overhead", "hashing", "questions", "noop", "keys", "scale")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(names))
    parser.add_argument("--shards", type=int, default=1000, help="of the records (ten each) and of the no-op")
    parser.add_argument("--jobs", type=int, default=10_000, help="of the scale")
    parser.add_argument("--directory", type=Path, help="where to build, kept; what lies there is used again")
    parsed = parser.parse_args()
    if unknown := set(parsed.sections) - set(names):
        parser.error(f"{min(unknown)} is none of {', '.join(names)}")
    with tempfile.TemporaryDirectory(prefix="stemma-benchmark-") as temporary:
        for name in parsed.sections or names:
            directory = (parsed.directory or Path(temporary)).resolve() / name
            directory.mkdir(parents=True, exist_ok=True)
            section = globals()[name]
            counts = {"questions": parsed.shards, "noop": parsed.shards, "scale": parsed.jobs}
            section(directory, counts[name]) if name in counts else section(directory)


if __name__ == "__main__":
    main()
