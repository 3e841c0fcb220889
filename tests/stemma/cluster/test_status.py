"""What `status` says during, after and between builds of the real Snakemake on this machine."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from stemma.cluster.markers import MARKERS, SUFFIX, Process, born, marker_of, marker_path, read_marker
from stemma.cluster.status import why_lost
from tests.stemma.conftest import Toy
from tests.stemma.workflow.test_attach import wait_for

SLOW = "import time; time.sleep(60)\n    return text.upper()"


def status(toy: Toy, *options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "stemma", "status", *options]
    return subprocess.run(command, cwd=toy.path, env=toy.environment, capture_output=True, text=True, check=False)


def seen(toy: Toy) -> dict:
    """rule -> its job, of what status tells in JSON; with the run under ''."""
    run = json.loads(status(toy, "--json").stdout)
    return {job["rule"]: job for job in run["jobs"]} | {"": run}


@pytest.fixture
def building(toy: Toy):
    """A build whose first job takes a minute."""
    toy.replace("llm/deep/low.py", "return text.upper()", SLOW)
    process = subprocess.Popen(
        toy.command(), cwd=toy.path, env=toy.environment, stderr=subprocess.DEVNULL, start_new_session=True
    )
    wait_for(lambda: any((toy.path / MARKERS).glob(f"*{SUFFIX}")))
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_before_anything_was_built(toy: Toy):
    done = status(toy)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "run snakemake here first" in done.stderr


def test_after_a_build_all_is_done(built: Toy):
    found = seen(built)
    assert {found[rule]["state"] for rule in ("first", "second", "third")} == {"done"}
    assert found[""]["alive"] is False
    assert "3 of 3 jobs done" in status(built).stdout


def test_during_a_build(toy: Toy, building):
    found = seen(toy)
    assert (found["first"]["state"], found["second"]["state"]) == ("running", "waiting")
    assert found["first"]["attempt"] == 1
    assert found[""]["alive"] is True
    assert found[""]["untimed"] == 3
    text = status(toy).stdout
    assert "at work: 0 of 3 jobs done, 1 running" in text
    assert "waiting: 1 second, 1 third" in text


def test_a_runner_that_was_killed_is_lost(toy: Toy, building):
    marker = next(marker_of(json.loads(file.read_text())) for file in (toy.path / MARKERS).glob(f"*{SUFFIX}"))
    os.killpg(building.pid, signal.SIGKILL)
    building.wait()
    wait_for(lambda: born(marker.process.pid) is None)
    found = seen(toy)
    assert (found["first"]["state"], found["first"]["reason"]) == ("lost", "its process is gone")
    assert found[""]["alive"] is False


def test_a_failure_with_its_error_and_log(toy: Toy):
    toy.replace("llm/deep/low.py", "return text.upper()", "raise ValueError('no more')")
    assert toy.snakemake().returncode == 1
    job = seen(toy)["first"]
    assert job["state"] == "failed"
    assert "no more" in job["reason"]
    assert job["log"] == "results/logs/first.log"
    assert job["last"][-1].endswith("no more")


def test_attempts_are_counted_and_the_next_build_begins_anew(toy: Toy):
    toy.replace("llm/deep/low.py", "return text.upper()", "raise ValueError('no more')")
    toy.snakemake("--retries", "2")
    job = seen(toy)["first"]
    assert (job["attempt"], job["attempts"]) == (3, 3)
    toy.replace("llm/deep/low.py", "raise ValueError('no more')", "return text.upper()")
    toy.build()
    assert seen(toy)["first"]["attempt"] == 1


def test_a_dry_run_and_a_build_with_nothing_to_do_leave_what_is_said(built: Toy):
    before = (built.path / "results/.records/run.json").read_bytes()
    built.snakemake("-n")
    built.snakemake()
    assert (built.path / "results/.records/run.json").read_bytes() == before


def test_the_time_left_comes_from_earlier_records(built: Toy):
    built.replace("scripts/s/third.py", "return {'length'", "import time; time.sleep(60)\n    return {'length'")
    process = subprocess.Popen(built.command(), cwd=built.path, env=built.environment, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: seen(built).get("third", {}).get("state") == "running")
        job = seen(built)["third"]
        assert job["left"] is not None
        assert seen(built)[""]["untimed"] == 0
    finally:
        process.kill()
        process.wait()


def test_a_process_is_told_from_a_later_one_of_its_number():
    here = Process.this()
    assert here.is_alive() is True
    assert replace(here, born="1").is_alive() is False
    assert replace(here, host="elsewhere").is_alive() is None
    assert replace(here, space="another boot").is_alive() is None


def test_markers_that_cannot_be_read_count_as_none(built: Toy, monkeypatch):
    monkeypatch.chdir(built.path)
    place = "results/joined.txt"
    assert read_marker(place).state == "done"
    marker_path(place).write_text('{"rule": "cut sh')
    assert read_marker(place) is None
    assert status(built).returncode == 0
    monkeypatch.undo()


def test_ten_thousand_jobs(built: Toy):
    file = built.path / "results/.records/run.json"
    run = json.loads(file.read_text())
    job = run["jobs"][0]
    run["jobs"] = [job | {"place": f"results/{number}/x", "needs": []} for number in range(10_000)]
    file.write_text(json.dumps(run))
    assert "0 of 10000 jobs done" in status(built).stdout


def test_a_job_that_slurm_has_forgotten_is_lost(built: Toy, monkeypatch):
    """Where Slurm does not answer nobody can tell."""
    monkeypatch.chdir(built.path)
    marker = replace(read_marker("results/joined.txt"), slurm="12")
    elsewhere = replace(marker, process=replace(marker.process, host="elsewhere"))
    assert why_lost(elsewhere, {}) == "Slurm no longer knows its job"
    assert why_lost(elsewhere, None) is None
    assert why_lost(marker, None) == "its process is gone"


def test_watching_a_finished_run_of_another_machine_ends(built: Toy):
    """Nobody here can tell whether its snakemake lives; that all jobs are done says enough."""
    file = built.path / "results/.records/run.json"
    run = json.loads(file.read_text())
    run["process"]["host"] = "elsewhere"
    file.write_text(json.dumps(run))
    command = [sys.executable, "-m", "stemma", "status", "--watch", "1"]
    done = subprocess.run(command, cwd=built.path, env=built.environment, capture_output=True, text=True, timeout=20)
    assert "begun on another machine: 3 of 3 jobs done" in done.stdout
