"""Markers of jobs: what they say after every kind of end, that they never stop a job, and who may clear them."""

import json
import os
import signal
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from stemma.base.errors import StemmaError
from stemma.cluster.job_log import marker_of
from stemma.cluster.markers import MARKERS, RUN, marked, read_marker
from tests.stemma.conftest import Toy
from tests.stemma.workflow.test_attach import wait_for

PLACE = "results/a/manifest.json"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)


def mark():
    return marked("rule", PLACE, "results/a", "0" * 64, Path("results/logs/a.log"), "stage")


@pytest.mark.parametrize(
    ("error", "state", "said"),
    [
        (StemmaError("what, where"), "failed", "what, where"),
        (OSError(28, "No space left on device", "b"), "failed", "no space left on the device (b)"),
        (ValueError("odd"), "failed", "ValueError('odd')"),
        (SystemExit(143), "stopped", "it was told to stop"),
    ],
)
def test_each_end_is_told_and_attempts_are_counted(error, state, said):
    with pytest.raises(type(error)), mark():
        assert read_marker(PLACE).state == "running"
        assert read_marker(PLACE).process.is_alive()
        raise error
    marker = read_marker(PLACE)
    assert (marker.state, marker.attempt) == (state, 1)
    assert said in marker.error
    with mark() as marker:
        marker.how = "run"
    again = read_marker(PLACE)
    assert (again.state, again.attempt, again.how, again.error) == ("done", 2, "run", None)
    assert again.seconds >= 0
    assert [file.suffix for file in MARKERS.iterdir()] == [".job"], "nothing half written is left"


def test_where_no_marker_can_be_written_the_job_goes_on():
    MARKERS.parent.mkdir(parents=True)
    MARKERS.write_text("a file in the directory's place")
    with mark() as marker:
        marker.how = "hit"
    assert read_marker(PLACE) is None


def test_a_torn_or_foreign_marker_is_none():
    with mark():
        pass
    (file,) = MARKERS.iterdir()
    whole = file.read_text()
    for text in (whole[: len(whole) // 2], "[]", json.dumps({"rule": "rule"})):
        file.write_text(text)
        assert read_marker(PLACE) is None


def test_the_marker_of_an_earlier_attempt_does_not_explain_a_later_one(monkeypatch):
    """Attempt 1 failed by its script, attempt 2 died with its node before its runner could begin."""
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    with pytest.raises(StemmaError), mark():
        raise StemmaError("the script's own")
    job = SimpleNamespace(output=[PLACE])
    assert marker_of(job, "12").error == "the script's own"
    assert marker_of(job, "13") is None
    assert marker_of(job).slurm == "12"


def test_only_a_build_that_begins_clears_what_the_last_one_said(built: Toy, monkeypatch):
    monkeypatch.chdir(built.path)
    before = {file.name: file.read_bytes() for file in MARKERS.iterdir()}
    assert len(before) == 3
    built.replace("llm/other.py", "'!'", "'?'")
    for arguments in (["--dry-run"], ["--touch"]):
        assert built.snakemake(*arguments).returncode == 0
        assert {file.name: file.read_bytes() for file in MARKERS.iterdir()} == before
    built.replace("scripts/s/second.py", "return {", "import time; time.sleep(20)\n    return {")
    process = subprocess.Popen(built.command("--retries", "1"), cwd=built.path, env=built.environment)
    wait_for(lambda: (marker := read_marker("results/joined.txt")) is not None and marker.state == "running")
    during = {file.name: file.read_bytes() for file in MARKERS.iterdir()}
    assert len(during) == 1, "those of the build before are gone"
    assert "another snakemake builds in" in built.snakemake().stderr
    assert {file.name: file.read_bytes() for file in MARKERS.iterdir()} == during
    run = json.loads(RUN.read_text())
    assert [(job["rule"], job["attempts"]) for job in run["jobs"] if job["marked"]][0][1] == 2
    os.kill(read_marker("results/joined.txt").process.pid, signal.SIGKILL)  # the runner: it can say nothing
    wait_for(lambda: (marker := read_marker("results/joined.txt")) is not None and marker.attempt == 2)
    process.terminate()
    process.kill()
    process.wait()
