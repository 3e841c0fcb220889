"""Losses of alignment are those of TRL, which is in no environment of this project: benchmarks/trl.txt has it."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="PYTHONPATH leads to no TRL (benchmarks/trl.txt)")
def test_twenty_steps_beside_trl() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.align_parity"],
        cwd=ROOT,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("differ by at most") == 7
