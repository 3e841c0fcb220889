"""A job on a real Slurm, cancelled by hand: what `status` and the terminal say of it, from the queue on."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from stemma.cluster.markers import MARKERS, SUFFIX
from stemma.cluster.status import Job, look
from tests.cluster.slurm import wait_for
from tests.cluster.toy import OnSlurm
from tests.golden import ROOT
from tests.stemma.conftest import planted

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
SLOW = "import time; time.sleep(60)\n    return text.upper()"


def first() -> Job:
    """The toy's first job as status sees it now; `state` none before the run has begun."""
    if not Path("results/.records/run.json").exists():
        return Job("first", "", "none", 1)
    return next(job for job in look().jobs if job.rule == "first")


def test_a_queued_job_with_its_reason_then_where_it_runs_then_cancelled(cluster, toy: OnSlurm):
    full = cluster.run("sbatch", "--parsable", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap", "sleep 300")
    toy.replace("llm/deep/low.py", "return text.upper()", SLOW)
    with toy.running() as run:
        wait_for(lambda: first().state == "queued" and first().reason not in ("None", "Priority"), "the queue")
        assert first().reason == "Resources"
        assert first().node is None
        cluster.run("scancel", full.stdout.strip())
        wait_for(lambda: first().state == "running", "the job to run")
        job = first()
        assert job.node in cluster.NODES
        assert [other.state for other in look().jobs if other.rule != "first"] == ["waiting", "waiting"]
        cluster.run("scancel", job.slurm)
        assert run.end() != 0
    (line,) = run.said("error:")
    assert f"(Slurm job {job.slurm} on {job.node})" in line
    assert line.startswith("error: first results/parts: it was cancelled; log results/logs/first.log")
    assert line.endswith("; run again")
    assert run.complaints() == [line]
    assert run.said("3 jobs: 3 to run")
    assert run.lines[-1].startswith("0 of 3 jobs are done; what they gave is kept")
    assert first().state in ("lost", "stopped")


AS_NOBODY = """
import dataclasses, json, os
from stemma.provenance import index, record
import stemma.store.local, stemma.store.remote
from stemma.cluster.status import look
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
print(json.dumps(dataclasses.asdict(look())))
"""


def test_another_user_sees_what_runs(cluster):
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        planted(Path(name))
        toy = OnSlurm(Path(name))
        toy.first_does("import time; time.sleep(30)")
        with toy.running():
            wait_for(lambda: any((toy.path / MARKERS).glob(f"*{SUFFIX}")), "the job to run")
            command = [sys.executable, "-c", AS_NOBODY]
            seen = subprocess.run(
                command,
                cwd=name,
                env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
                capture_output=True,
                text=True,
            )
        cluster.cancel_all()
        wait_for(lambda: not cluster.run("squeue", "-h").stdout, "the queue to be empty")
    assert seen.returncode == 0, seen.stderr
    run = json.loads(seen.stdout)
    assert run["notes"] == []
    states = {job["rule"]: job["state"] for job in run["jobs"]}
    assert states == {"first": "running", "second": "waiting", "third": "waiting"}
