"""GRPO on a task of reasoning-gym, which is in no environment of this project: benchmarks/gym.txt has it."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from llm.align.conversations import read_examples
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


def test_sums_become_conversations_and_prompts_with_answers(tmp_path: Path) -> None:
    benchmark("--jsonl", str(tmp_path))
    asked = []
    for split in ("train", "validation"):
        prompts, _ = read_prompts(tmp_path / f"{split}.jsonl", ByteTokenizer(), 100)
        assert len(prompts) >= 40
        for prompt in prompts:
            first, sign, second, _ = prompt.text.rsplit(maxsplit=4)[1:]
            assert int(prompt.row["answer"]) == int(first) + (1 if sign == "+" else -1) * int(second)
        examples, left_out = read_examples(tmp_path / f"{split}.jsonl", ByteTokenizer(), 100)
        assert (len(examples), left_out) == (len(prompts), 0)
        asked.append({prompt.text for prompt in prompts})
    assert not asked[0] & asked[1]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_score_of_unseen_tasks_rises(tmp_path: Path) -> None:
    assert "seed 0: held-out score" in benchmark("--work", str(tmp_path), "--seeds", "0")
