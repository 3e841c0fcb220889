"""GRPO on a task of reasoning-gym, which is in no environment of this project: benchmarks/gym.txt has it."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from llm.align.prompts import read_prompts
from tests.llm.align.conftest import ByteTokenizer

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("reasoning_gym") is None,
    reason="PYTHONPATH leads to no reasoning-gym (benchmarks/gym.txt)",
)


def benchmark(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.align_gym", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_tasks_become_prompts_with_answers(tmp_path: Path) -> None:
    benchmark("--jsonl", str(tmp_path))
    words = []
    for split, n in (("train", 1000), ("validation", 64)):
        prompts, _ = read_prompts(tmp_path / f"{split}.jsonl", ByteTokenizer(), 100)
        assert len(prompts) == n
        assert all(prompt.text.endswith(prompt.row["answer"][::-1]) for prompt in prompts)
        words.append({prompt.row["answer"].lower() for prompt in prompts})
    assert not words[0] & words[1]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_score_of_unseen_tasks_rises(tmp_path: Path) -> None:
    assert "seed 0: held-out score" in benchmark("--work", str(tmp_path), "--seeds", "0")
