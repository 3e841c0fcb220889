"""What is shown while a run trains: every step once, also of a try that was interrupted, and figures that add up."""

import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import torch

from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM
from llm.training.mfu import flops_per_token, matmul_peak
from llm.training.step import StepMetrics
from llm.training.telemetry import NAME, Telemetry, Work, clock

WORK = Work(tokens=1000, flops_per_token=2000, peak=4e9)


def steps(first: int, last: int, wait: float = 0.0) -> Iterator[StepMetrics]:
    for step in range(first, last + 1):
        time.sleep(wait)
        yield StepMetrics(step, 5.0, 0.1, 1.0)


def test_steps_pass_unchanged(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert list(Telemetry(WORK, tmp_path).watch(steps(1, 4), 0, 4)) == list(steps(1, 4))
    assert "step 4/4  loss 5.000" in capsys.readouterr().err


def test_only_the_making_of_a_step_is_timed() -> None:
    telemetry = Telemetry(WORK)
    for _ in telemetry.watch(steps(1, 3, wait=0.002), 0, 3):
        time.sleep(0.05)
    summary = telemetry.summary()
    assert 0.002 <= summary["step_seconds"] < 0.05
    assert summary["tokens_per_second"] == pytest.approx(1000 / summary["step_seconds"], rel=0.01)
    assert summary["mfu"] == pytest.approx(summary["tokens_per_second"] * 2000 / 4e9, rel=0.01)


def test_an_interrupted_try_leaves_its_steps(tmp_path: Path) -> None:
    list(Telemetry(WORK, tmp_path).watch(steps(1, 6), 0, 6))
    list(Telemetry(WORK, tmp_path).watch(steps(4, 8), 3, 8))
    assert pl.read_parquet(tmp_path / NAME)["step"].to_list() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert len(list(tmp_path.glob("events.*"))) == 2
    assert not list(tmp_path.glob("*.partial"))


def test_steps_before_an_error_are_kept(tmp_path: Path) -> None:
    def failing() -> Iterator[StepMetrics]:
        yield from steps(1, 150)
        yield StepMetrics(151, float("nan"), 0.1, 1.0, "not finite")
        raise ValueError("as asked")

    with pytest.raises(ValueError, match="as asked"):
        list(Telemetry(WORK, tmp_path).watch(failing(), 0, 200))
    rows = pl.read_parquet(tmp_path / NAME)
    assert rows["step"].to_list() == list(range(1, 152))
    assert rows["skipped"].to_list() == [None] * 150 + ["not finite"]


def test_nothing_to_do_is_no_error(tmp_path: Path) -> None:
    telemetry = Telemetry(WORK, tmp_path)
    assert list(telemetry.watch(steps(1, 0), 0, 0)) == []
    assert telemetry.summary() == {}


def test_all_ranks_but_one_are_quiet(capsys: pytest.CaptureFixture) -> None:
    list(Telemetry(WORK, quiet=True).watch(steps(1, 4), 0, 4))
    assert capsys.readouterr().err == ""


def test_flops_of_gpt3() -> None:
    """Table D.1 of Brown et al. 2020: 174.6 G parameters, 3.14e23 FLOPs for 300 G tokens, attention not counted."""
    config = ModelConfig(50257, 12288, 96, 96, 96, 128, 49152, 2048, position="learned", norm="layernorm",
                         activation="gelu", bias=True)  # fmt: skip
    attention = 12 * 96 * 12288 * 2048
    assert (flops_per_token(config) - attention) * 300e9 == pytest.approx(3.14e23, rel=0.005)


@pytest.mark.parametrize("tied", [True, False])
def test_flops_are_those_of_the_products(tied: bool) -> None:
    """Against torch's own count of a forward pass, which takes attention's products in full, too."""
    from torch.utils.flop_counter import FlopCounterMode

    config = ModelConfig(64, 32, 2, 4, 2, 8, 64, 16, tie_embeddings=tied)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        CausalLM(config)(torch.zeros(1, 16, dtype=torch.int64))
    norms = (2 * 2 + 1) * 32
    assert flops_per_token(config) * 16 == 3 * counter.get_total_flops() + 6 * norms * 16


def test_peak_is_measured_once_and_moves_no_random_number() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    peak = matmul_peak(torch.float32)
    assert torch.rand(3).equal(expected)
    assert peak > 1e8
    assert matmul_peak(torch.float32) == peak


def test_clock() -> None:
    assert clock(61.4) == "1:01"


def test_rates_are_of_the_steps_that_were_taken(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """A step that is skipped or left out takes no time: 59,986,526 tokens/s and an MFU of 179% were told of such."""

    def mostly_skipped() -> Iterator[StepMetrics]:
        for step in range(1, 61):
            if step > 5:
                yield StepMetrics(step, float("nan"), 0.1, float("nan"), "left out")
                continue
            time.sleep(0.01)
            yield StepMetrics(step, 5.0, 0.1, 1.0)

    telemetry = Telemetry(WORK, tmp_path)
    list(telemetry.watch(mostly_skipped(), 0, 60))
    assert telemetry.summary()["tokens_per_second"] <= 1000 / 0.01
    rows = pl.read_parquet(tmp_path / NAME)
    assert rows["tokens_per_second"].max() <= 1000 / 0.01
    assert set(rows.filter(pl.col("skipped").is_not_null())["tokens_per_second"]) == {0.0}
    assert "55 skipped" in capsys.readouterr().err


def test_nothing_taken_has_no_rate() -> None:
    telemetry = Telemetry(WORK)
    list(telemetry.watch(iter([StepMetrics(1, 9.0, 0.1, 1.0, "not finite")]), 0, 1))
    assert telemetry.summary() == {}


def test_mfu_is_a_share() -> None:
    """Also where the peak was measured on a busy machine."""
    assert Work(tokens=1000, flops_per_token=2000, peak=1.0).speed(0.001)["mfu"] == 1.0
