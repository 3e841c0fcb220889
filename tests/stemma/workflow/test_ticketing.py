"""Jobs that wait while the config, the code or a source is edited; how they reach a node, alone and in groups.

The queue is one of this machine: what is submitted to it waits for a file, then runs, one job after the other.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stemma.conftest import REPOSITORY, Toy, jobs, planted
from tests.stemma.workflow.test_attach import wait_for
from tests.stemma.workflow.test_why import why

SUBMIT = """#!/bin/sh
# The queue: a job's script waits until `go` is there, the first ones only if `hold` is.
number=$(ls job-* 2>/dev/null | wc -l)
cp "$1" job-$number.sh
[ $number -gt 0 ] || [ -e hold ] && waits=1
( while [ -n "$waits" ] && [ ! -e go ]; do sleep 0.1; done; exec sh "$1" ) >> jobs.log 2>&1 &
echo $!
"""


class Queue:
    """A toy that builds through the queue, in a process of its own."""

    def __init__(self, toy: Toy, *arguments: str):
        self.toy = toy
        submit = toy.path / "submit.sh"
        submit.write_text(SUBMIT)
        submit.chmod(0o755)
        command = toy.command(
            "--executor", "cluster-generic", "--cluster-generic-submit-cmd", str(submit), "--jobs", "2",
            "--latency-wait", "1", "--seconds-between-status-checks", "1", *arguments,
        )  # fmt: skip
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, cwd=toy.path, env=toy.environment, **streams)

    def submitted(self) -> list[str]:
        """What was submitted so far."""
        return [file.read_text() for file in sorted(self.toy.path.glob("job-*.sh"))]

    def go(self) -> subprocess.CompletedProcess:
        """Let what waits begin; the end of the build."""
        (self.toy.path / "go").touch()
        out, error = self.process.communicate(timeout=300)
        return subprocess.CompletedProcess([], self.process.returncode, out, error)

    @property
    def log(self) -> str:
        """What the jobs have said."""
        return self.toy.read("jobs.log")


@pytest.fixture
def waiting(toy: Toy) -> Queue:
    """The first job has ended, the second waits in the queue."""
    queue = Queue(toy)
    wait_for(lambda: len(queue.submitted()) == 2, 120)
    return queue


@pytest.fixture
def fresh(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fresh")


def truth(toy: Toy, directory: Path) -> str:
    """What a build from nothing of the toy as it is now gives."""
    fresh = planted(directory)
    for name in ("config.yaml", "text.txt", "llm/other.py", "scripts/s/second.py"):
        (fresh.path / name).write_text(toy.read(name))
    assert fresh.snakemake().returncode == 0
    return fresh.read("results/final.txt")


def verified(toy: Toy) -> bool:
    done = subprocess.run([sys.executable, "-m", "stemma", "verify"], cwd=toy.path, capture_output=True, check=False)
    return done.returncode == 0


def test_config_edited_while_jobs_wait(waiting: Queue, fresh: Path):
    """The build ends as it began, and no pointer claims the new config: when only the first has been built anew, and
    times tell nothing or are wrong, the rest is stale."""
    toy = waiting.toy
    toy.replace("config.yaml", "times: 2", "times: 3")
    done = waiting.go()
    assert done.returncode == 0, done.stderr + waiting.log
    assert toy.read("results/final.txt").count("OLLEH") == 4, "two times twice, as when it began"
    assert verified(toy)
    assert "config times: 2 -> 3" in why(toy, "results/joined.txt").stdout
    assert toy.build("results/parts/manifest.json") == [("first", "run")]
    turned = toy.path / "results/parts/manifest.json"
    for minutes in (0, 10, -10):
        for file in (toy.path / "results").rglob("*"):
            os.utime(file, (10**9, 10**9 + 60 * minutes * (file == turned)))
        assert toy.snakemake("-n").stdout.startswith("2 jobs: 2 to run")
    assert why(toy, "results/joined.txt", "--config", "times=3").stdout.startswith("results/joined.txt is stale")
    assert [rule for rule, _ in toy.build()] == ["second", "third"]
    assert toy.read("results/final.txt") == truth(toy, fresh)


@pytest.mark.parametrize(
    ("hold", "file", "old", "new", "message"),
    [
        (False, "llm/other.py", "'!'", "'?'", "second results/joined.txt: its code was changed"),
        (True, "text.txt", "hello", "adieu", "first results/parts: source text.txt was changed"),
    ],
)
def test_what_a_job_was_to_be_made_from_is_edited_while_it_waits(toy: Toy, fresh: Path, hold, file, old, new, message):
    """It refuses in a line, which is final, and nothing is kept under a key that does not tell of it."""
    if hold:
        (toy.path / "hold").touch()
    queue = Queue(toy, "--retries", "2")
    wait_for(lambda: len(queue.submitted()) == 2 - hold, 120)
    toy.replace(file, old, new)
    done = queue.go()
    assert done.returncode != 0
    assert f"error: {message} after this snakemake began; run snakemake again" in queue.log
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert line.startswith(f"error: {message} after this snakemake began; log results/logs/")
    assert line.endswith("; run snakemake again")
    toy.build()
    assert toy.read("results/final.txt") == truth(toy, fresh)
    assert verified(toy)


def test_a_config_that_is_half_written_hurts_no_job(waiting: Queue):
    waiting.toy.replace("config.yaml", "times: 2", "times: [")
    assert waiting.go().returncode == 0, waiting.log


def test_a_job_that_outlived_its_snakemake_does_nothing(waiting: Queue, fresh: Path):
    """Another snakemake has built another config since."""
    toy = waiting.toy
    waiting.process.kill()
    waiting.process.communicate()
    toy.replace("config.yaml", "times: 2", "times: 3")
    toy.build()
    (toy.path / "go").touch()
    wait_for(lambda: "has ended since; run again" in waiting.log, 60)
    assert toy.read("results/final.txt") == truth(toy, fresh)
    assert toy.build() == []
    assert verified(toy)


@pytest.mark.thorough
def test_with_a_snakemake_on_the_node_too(toy: Toy):
    """Where only Snakemake can prepare the node, e.g. load modules, it is told what the job was to be."""
    queue = Queue(toy, "--sdm", "env-modules")
    wait_for(lambda: len(queue.submitted()) == 2, 120)
    assert all("-m snakemake" in script for script in queue.submitted())
    toy.replace("config.yaml", "times: 2", "times: 3")
    assert queue.go().returncode == 0, queue.log
    assert toy.read("results/final.txt").count("OLLEH") == 4
    assert verified(toy)
    assert "config times: 2 -> 3" in why(toy, "results/joined.txt").stdout


def test_code_edited_while_a_job_waits_on_this_machine(toy: Toy):
    toy.replace("scripts/s/first.py", "return {", "import time; time.sleep(4)\n    return {")
    process = subprocess.Popen(toy.command(), cwd=toy.path, env=toy.environment, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: (toy.path / "results/logs/first.log").exists())
    toy.replace("llm/other.py", "'!'", "'?'")
    _, error = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "error: second results/joined.txt: its code was changed after this snakemake began" in error
    toy.replace("llm/other.py", "'?'", "'!'")
    assert toy.build() == [("second", "run"), ("third", "run")]


def test_no_snakemake_starts_on_a_node(toy: Toy):
    """Single jobs, and a group in the order of its jobs; benchmark files are written."""
    toy.replace(
        "Snakefile", '"results/logs/second.log",', '"results/logs/second.log",\n    benchmark:\n        "times.tsv"'
    )
    queue = Queue(toy, "--groups", "second=g", "third=g", "--group-components", "g=1")
    done = queue.go()
    assert done.returncode == 0, done.stderr + queue.log
    scripts = queue.submitted()
    assert len(scripts) == 2
    assert not any("-m snakemake" in script for script in scripts)
    assert jobs(subprocess.CompletedProcess([], 0, "", queue.log)) == [
        (rule, "run") for rule in ("first", "second", "third")
    ]
    head, line = toy.read("times.tsv").splitlines()
    seconds = dict(zip(head.split("\t"), line.split("\t"), strict=True))
    assert float(seconds["s"]) > 0
    assert float(seconds["cpu_time"]) > 0
    assert toy.build() == []


def test_a_failure_in_a_group_ends_it(toy: Toy):
    toy.replace("scripts/s/second.py", "return {}", "raise ValueError('broken')")
    queue = Queue(toy, "--groups", "second=g", "third=g", "--group-components", "g=1")
    assert queue.go().returncode != 0
    assert "ValueError: broken" in queue.log
    assert "third " not in queue.log


def test_signals_are_passed_on(toy: Toy, tmp_path: Path):
    """SIGTERM to what the scheduler started reaches the script; what follows in the group does not begin."""
    ticket = {
        "directory": str(tmp_path), "root": str(REPOSITORY), "shell": "bash", "threads": 1, "latency": 1, "step": [],
        "layers": [
            [{"command": "trap 'echo told > told; exit 3' TERM; touch up; while :; do sleep 0.1; done", "inputs": [],
              "benchmark": None, "threads": 1}],
            [{"command": "touch second", "inputs": [], "benchmark": None, "threads": 1}],
        ],
    }  # fmt: skip
    file = tmp_path / "ticket.json"
    file.write_text(json.dumps(ticket))
    python = sys.executable
    process = subprocess.Popen([python, "-m", "stemma", "job", str(file)], cwd=REPOSITORY)
    wait_for((tmp_path / "up").exists)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 3
    assert (tmp_path / "told").read_text() == "told\n"
    assert not (tmp_path / "second").exists()
