"""The loss curve: one file, the same bytes, and a chain with a hole is refused."""

import json
from pathlib import Path

import pytest

from llm.errors import InputError
from llm.train.plot import draw_loss, read_history, smoothed

NGRAM = {"tokens": 100, "bytes": 300, "unigram": 3.4, "bigram": 2.3, "trigram": 1.9}


def chain(directory: Path, ranges: list[range]) -> list[Path]:
    for steps in ranges:
        lines = [{"step": step, "loss": 8 / step**0.1, "lr": 0.1, "grad_norm": 1.0} for step in steps]
        lines[-1]["val_bpb"] = 2.5
        (directory / f"step-{steps[-1]}").mkdir()
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (directory / f"step-{steps[-1]}" / "metrics.jsonl").write_text(text)
    return [directory / f"step-{steps[-1]}" for steps in ranges]


def test_equal_figures_give_equal_bytes(tmp_path: Path) -> None:
    history = read_history(chain(tmp_path, [range(1, 41), range(41, 81)]))
    for name in ("a.svg", "b.svg"):
        draw_loss(history, NGRAM, tmp_path / name)
    text = (tmp_path / "a.svg").read_text()
    assert text == (tmp_path / "b.svg").read_text()
    assert "bits per byte" in text
    assert "trigram 1.90" in text
    assert str(tmp_path) not in text


def test_order_of_checkpoints_does_not_matter(tmp_path: Path) -> None:
    checkpoints = chain(tmp_path, [range(1, 3), range(3, 6)])
    assert read_history(checkpoints[::-1]) == read_history(checkpoints)


@pytest.mark.parametrize("ranges", [[range(1, 3), range(4, 6)], [range(1, 4), range(3, 6)]])
def test_broken_chain_is_refused(tmp_path: Path, ranges: list[range]) -> None:
    with pytest.raises(InputError, match="do not hold every step once"):
        read_history(chain(tmp_path, ranges))


def test_smoothing_keeps_a_constant() -> None:
    assert smoothed([2.0] * 5) == pytest.approx([2.0] * 5)
