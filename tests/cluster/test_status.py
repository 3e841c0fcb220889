"""What one sees of a run on Slurm: the terminal as of a local build, failures in one line, `status` from aside."""

import json
import re
import subprocess
import sys

import pytest

from tests.cluster.build import Build
from tests.cluster.toy import OnSlurm
from tests.golden import ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
TARGET = "results/pretrain/step-30/manifest.json"
ALONE = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
NOISE = ("Traceback", "SLURM", "Error in", "Exception", "coroutine")


@pytest.fixture
def build(built, tmp_path) -> Build:
    """Pretraining is to be done."""
    change = tmp_path / "change.yaml"
    change.write_text("pretrain: {learning_rate: 0.02}\n")
    return built.build.fork(tmp_path / "fork", change)


def seen(build: Build) -> dict:
    """What status says of the first segment."""
    command = [sys.executable, "-m", "stemma", "status", "--json"]
    done = subprocess.run(
        command,
        cwd=build.directory,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    jobs = json.loads(done.stdout)["jobs"] if done.returncode == 0 else []
    return next((job for job in jobs if job["target"] == "results/pretrain/step-30"), {"state": "unknown"})


def errors(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("error: ")]


def test_a_run_reads_like_a_local_one_and_names_the_nodes(built):
    for rule in ("annotate", "clean", "pretrain", "preferences"):
        said = rf"^\w+ +{rule} +results/\S+( \+\d+)? +run +\d+\.\d s  n[12]  \d+/\d+( |$)"
        assert re.search(said, built.said, re.MULTILINE), built.said
    assert not any(word in built.said for word in NOISE), built.said


def test_a_job_over_its_memory_says_so_and_what_comes_next(build):
    done = build.end(build.start(TARGET, "--set-resources", "pretrain:mem_mb=1", "--retries", "0"))
    assert done.returncode == 1
    (line,) = errors(done.said)
    assert re.fullmatch(
        r"error: pretrain results/pretrain/step-30: it was killed at its limit of 151 MB; "
        r"log results/logs/pretrain/30.log \(Slurm job \d+ on n[12]\); raise mem_mb of pretrain",
        line,
    )
    assert seen(build)["state"] == "lost"


def test_what_slurm_refuses_is_said_in_its_words(build):
    done = build.end(build.start(TARGET, "--set-resources", "pretrain:mem_mb=90000", "--retries", "0"))
    assert errors(done.said) == [
        "error: pretrain results/pretrain/step-30: Slurm refuses it: Memory specification can not be satisfied; "
        "change what pretrain asks for"
    ]


def test_a_script_that_fails_is_named_with_its_log(toy: OnSlurm):
    toy.first_does("raise ValueError('on purpose')")
    with toy.running("--retries", "1") as run:
        assert run.end() == 1
    first, last = run.said("error:")
    assert first.startswith("error: first results/parts: ValueError: on purpose")
    assert first.endswith("tried again, attempt 2 of 2")
    assert re.search(r"results/logs/first\.log\)? \(Slurm job \d+ on n[12]\); mend that, then run again$", last)
    assert run.complaints() == [first, last]
