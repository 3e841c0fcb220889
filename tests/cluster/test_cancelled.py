"""A job on a real Slurm, cancelled by hand: what `status` and the terminal say of it, from the queue on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stemma.status import Job, look
from tests.cluster.slurm import wait_for
from tests.golden import ROOT
from tests.stemma.conftest import Toy, planted

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
SLOW = "import time; time.sleep(60)\n    return text.upper()"


class OnSlurm(Toy):
    """The toy, each of its jobs through the queue."""

    def command(self, *arguments: str) -> list[str]:
        options = [
            "--slurm-init-seconds-before-status-checks",
            "1",
            "--retries",
            "0",
            "--latency-wait",
            "5",
            "--quiet",
            "rules",
            "progress",
            "host",
            "reason",
        ]
        return [sys.executable, "-m", "snakemake", "--profile", str(ROOT / "profiles/slurm"), *options, *arguments]

    def start(self) -> subprocess.Popen:
        return subprocess.Popen(
            self.command(),
            cwd=self.path,
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


@pytest.fixture
def toy(tmp_path: Path, monkeypatch) -> OnSlurm:
    planted(tmp_path)
    monkeypatch.chdir(tmp_path)
    return OnSlurm(tmp_path)


def first() -> Job:
    """The toy's first job as status sees it now; `state` none before the run has begun."""
    if not Path("results/.records/run.json").exists():
        return Job("first", "", "none", 1)
    return next(job for job in look().jobs if job.rule == "first")


def errors(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("error:")]


def test_a_queued_job_with_its_reason_then_where_it_runs_then_cancelled(cluster, toy: OnSlurm):
    full = cluster.run("sbatch", "--parsable", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap", "sleep 300")
    toy.replace("llm/deep/low.py", "return text.upper()", SLOW)
    process = toy.start()
    try:
        wait_for(lambda: first().state == "queued" and first().reason not in ("None", "Priority"), "the queue")
        assert first().reason == "Resources"
        assert first().node is None
        cluster.run("scancel", full.stdout.strip())
        wait_for(lambda: first().state == "running", "the job to run")
        job = first()
        assert job.node in cluster.NODES
        assert [other.state for other in look().jobs if other.rule != "first"] == ["waiting", "waiting"]
        cluster.run("scancel", job.slurm)
        _, said = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode != 0
    (line,) = errors(said)
    assert f"(Slurm job {job.slurm} on {job.node})" in line
    assert line.startswith("error: first results/parts: it was cancelled; log results/logs/first.log")
    assert line.endswith("; run again")
    assert [text for text in said.splitlines() if text != line and not text.startswith("Using profile")] == []
    assert first().state in ("lost", "stopped")
