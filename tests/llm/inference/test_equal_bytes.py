"""The promise: a request's tokens and log-probabilities are the same bytes alone, in any batch, in chunks, after a
prefix hit, after a preemption, with guesses ahead, with siblings, and in training."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kernels.panels import has_instruction

MIXES = Path(__file__).with_name("mixes.py")


@pytest.mark.parametrize(
    ("dtype", "threads", "served"),
    [
        ("float32", 2, []),
        ("bfloat16", 1, ["served"]),
        pytest.param("float32", 1, [], marks=pytest.mark.thorough),
        pytest.param("bfloat16", 1, [], marks=pytest.mark.thorough),
        pytest.param("bfloat16", 2, ["served"], marks=pytest.mark.thorough),
    ],
)
def test_mixes_equal_the_lone_run_and_training(dtype: str, threads: int, served: list[str]) -> None:
    """50 in each of five processes: the number of threads is a process's."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, MIXES, dtype, "50", str(threads), *served]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert (counts["mixes"], counts["different"], counts["off"]) == (50, 0, 0)
    assert counts["requests"] > 80
    assert (counts["in_one_call"] > 0) == (bool(served) and has_instruction())
    assert min(counts["preemptions"], counts["evictions"]) > 8
    assert counts["hit_tokens"] > 500
