"""The drawing of a run: one file, the same bytes, and a chain with a hole is refused."""

from pathlib import Path

import pytest

from llm.errors import InputError
from llm.pretrain.metrics import NAME, read_metrics, write_metrics
from llm.pretrain.plot import draw_training, smoothed
from llm.training.step import StepMetrics

NGRAM = {"tokens": 100, "bytes": 300, "unigram": 3.4, "bigram": 2.3, "trigram": 1.9}


def chain(directory: Path, ranges: list[range]) -> list[Path]:
    checkpoints = []
    for steps in ranges:
        checkpoints.append(directory / f"step-{steps[-1]}")
        checkpoints[-1].mkdir()
        history = [StepMetrics(step, 8 / step**0.1, 0.1, 1.0) for step in steps]
        write_metrics(checkpoints[-1], history, {"bpb": 2.5, "by_domain": {"web": 2.25, "books": 2.75}})
    return checkpoints


def test_equal_figures_give_equal_bytes(tmp_path: Path) -> None:
    history = read_metrics(chain(tmp_path, [range(1, 41), range(41, 81)]))
    for name in ("a.svg", "b.svg"):
        draw_training(history, NGRAM, tmp_path / name)
    text = (tmp_path / "a.svg").read_text()
    assert text == (tmp_path / "b.svg").read_text()
    for shown in ("bits per byte", "trigram 1.90", "web 2.25", "books 2.75", "learning rate", "gradient norm"):
        assert shown in text
    assert str(tmp_path) not in text


def test_a_table_of_steps_has_one_form(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        chain(tmp_path / name, [range(1, 41)])
    assert (tmp_path / "a/step-40" / NAME).read_bytes() == (tmp_path / "b/step-40" / NAME).read_bytes()


def test_order_of_checkpoints_does_not_matter(tmp_path: Path) -> None:
    checkpoints = chain(tmp_path, [range(1, 3), range(3, 6)])
    assert read_metrics(checkpoints[::-1]).equals(read_metrics(checkpoints))


@pytest.mark.parametrize("ranges", [[range(1, 3), range(4, 6)], [range(1, 4), range(3, 6)]])
def test_broken_chain_is_refused(tmp_path: Path, ranges: list[range]) -> None:
    with pytest.raises(InputError, match="do not hold every step once"):
        read_metrics(chain(tmp_path, ranges))


def test_a_damaged_table_is_refused(tmp_path: Path) -> None:
    checkpoints = chain(tmp_path, [range(1, 3)])
    (checkpoints[0] / NAME).write_bytes(b"broken")
    with pytest.raises(InputError, match=f"{NAME}: cannot be read as parquet"):
        read_metrics(checkpoints)


def test_smoothing_keeps_a_constant() -> None:
    assert smoothed([2.0] * 5) == pytest.approx([2.0] * 5)
    nan, without = float("nan"), smoothed([3.0, 1.0, 2.0])
    assert smoothed([3.0, nan, 1.0, nan, 2.0])[2:] == [without[1], without[1], without[2]]
