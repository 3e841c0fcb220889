"""benchmarks/gpu.py in its smallest form, on the CPU: every part still runs, and what must hold does."""

import json
import os
import subprocess
import sys

import pytest

from benchmarks.gpu import ON_DEMAND, PARTS, table
from stemma.base.settings import ROOT


def run(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    out = tmp_path_factory.mktemp("gpu") / "gpu.json"
    done = run("--only", *PARTS, *ON_DEMAND, "--seconds", "500", "--out", str(out))
    found = json.loads(out.read_text())
    assert done.returncode == 0, table(found)
    return found


@pytest.mark.parametrize("part", [*PARTS, *ON_DEMAND])
def test_part_runs_and_holds(report, part):
    rows = report["parts"][part]["rows"]
    assert rows and "failed" not in report["parts"][part]
    assert not any(row["what"] == "left out" for row in rows), rows
    assert all(row["holds"] in (True, None) for row in rows)


def test_says_what_the_figures_are_of(report):
    assert report["environment"]["torch"] and report["environment"]["commit"]


def test_a_part_that_is_not_done_in_time_is_told_and_the_next_one_runs(tmp_path):
    done = run("--only", "resume", "peaks", "--seconds", "20", "--out", str(tmp_path / "gpu.json"))
    found = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    assert done.returncode == 1
    assert found["resume"]["failed"].startswith("not done within")
    assert found["peaks"]["rows"]
    assert "| resume | **failed** |" in done.stdout
