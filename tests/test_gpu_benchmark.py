"""benchmarks/gpu.py in its smallest form, on the CPU: every part still runs, and what must hold does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import gpu
from benchmarks.gpu import ON_DEMAND, PARTS, table
from stemma.base.settings import ROOT


def run(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


QUICK = ("peaks", "minhash")  # the others train
LONG = [part for part in (*PARTS, *ON_DEMAND) if part not in QUICK]


def report_of(directory: Path, *parts: str) -> dict:
    done = run("--only", *parts, "--seconds", "500", "--out", str(directory / "gpu.json"))
    found = json.loads((directory / "gpu.json").read_text())
    assert done.returncode == 0, table(found)
    return found


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return report_of(tmp_path_factory.mktemp("quick"), *QUICK)


@pytest.fixture(scope="module")
def long_report(tmp_path_factory):
    return report_of(tmp_path_factory.mktemp("long"), *LONG)


@pytest.mark.parametrize("part", QUICK)
def test_part_runs_and_holds(report, part):
    assert_holds(report, part)


@pytest.mark.thorough
@pytest.mark.parametrize("part", LONG)
def test_long_part_runs_and_holds(long_report, part):
    assert_holds(long_report, part)


def assert_holds(report, part):
    rows = report["parts"][part]["rows"]
    assert rows and "failed" not in report["parts"][part]
    assert not any(row["what"] == "left out" for row in rows), rows
    assert all(row["holds"] in (True, None) for row in rows)


def test_says_what_the_figures_are_of(report):
    assert report["environment"]["torch"] and report["environment"]["commit"]


@pytest.mark.thorough
def test_a_part_that_is_not_done_in_time_is_told_and_the_next_one_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(gpu, "PARTS", {"resume": (gpu.PARTS["resume"][0], 0.001), "peaks": (gpu.PARTS["peaks"][0], 1)})
    monkeypatch.setattr(sys, "argv", ["gpu", "--device", "cpu", "--seconds", "120", "--out", f"{tmp_path}/gpu.json"])
    assert gpu.main() == 1
    found = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    assert found["resume"]["failed"].startswith("not done within")
    assert found["peaks"]["rows"]
    assert "| resume | **failed** |" in capsys.readouterr().out
