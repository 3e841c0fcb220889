"""The promise: a request's tokens and log-probabilities are the same bytes alone, in any batch, in chunks, after a
prefix hit, after a preemption, with guesses ahead, with siblings, and in training."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MIXES = Path(__file__).with_name("mixes.py")


@pytest.mark.parametrize(
    ("dtype", "threads"),
    [
        ("float32", 2),
        ("bfloat16", 1),
        pytest.param("float32", 1, marks=pytest.mark.thorough),
        pytest.param("bfloat16", 2, marks=pytest.mark.thorough),
    ],
)
def test_200_mixes_equal_the_lone_run_and_training(dtype: str, threads: int) -> None:
    """50 in each of four processes: the number of threads is a process's."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(
        [sys.executable, MIXES, dtype, "50", str(threads)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert (counts["mixes"], counts["different"], counts["off"]) == (50, 0, 0)
    assert counts["requests"] > 100
    assert min(counts["preemptions"], counts["evictions"]) > 8
    assert counts["hit_tokens"] > 500
