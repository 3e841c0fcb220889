"""Accuracies are those of lm-eval, which is in no environment of this project: benchmarks/lm_eval.txt has it."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("lm_eval") is None, reason="PYTHONPATH leads to no lm-eval")
def test_choices_beside_lm_eval(tiny) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.eval_parity", str(tiny / "results/models/sft")],
        cwd=ROOT,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("likelihoods differ by at most") == 2
