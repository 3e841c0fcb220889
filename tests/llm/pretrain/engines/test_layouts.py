"""Every layout of the engine torch gives one process's curve, and a wrong one is noticed."""

import dataclasses
from functools import cache

import pytest
import torch
import torch.distributed as dist

from llm.errors import InputError
from llm.runtime.launch import run_ranks
from llm.training.engines.layout import Layout
from tests.llm.pretrain.engines.runs import ADAMW, BATCH, MODEL, MUON, THIN, Curve, Run, curves, differences, rows_of

Z_LOSS = dataclasses.replace(MODEL, z_loss=0.1)
DDP, FSDP = Layout(data=2), Layout(data=2, sharding="full")
FULL = {"recompute": "full"}
# What must be the curve of one process.
EQUAL = [
    Run(layout, settings)
    for settings in (ADAMW, MUON)
    for layout in (
        Layout(micro_batch=5),
        DDP,
        Layout(data=2, micro_batch=4),
        FSDP,
        Layout(data=2, sharding="full", micro_batch=4),
    )
] + [
    Run(Layout(data=3, sharding="full"), ADAMW, config=THIN),
    Run(Layout(data=3, sharding="full"), MUON, config=THIN),
    Run(Layout(), MUON, options=FULL),
    Run(FSDP, MUON, options=FULL),
    Run(DDP, config=Z_LOSS),
]
NEAR = [Run(DDP, dtype=torch.bfloat16), Run(FSDP, dtype=torch.bfloat16), Run(FSDP, MUON, torch.bfloat16)]


@cache
def curves_on(ranks: int) -> list[Curve]:
    return curves([run for run in EQUAL + NEAR if run.layout.world_size == ranks])


def curve_of(run: Run) -> Curve:
    ranks = run.layout.world_size
    return curves_on(ranks)[[other for other in EQUAL + NEAR if other.layout.world_size == ranks].index(run)]


def alone(run: Run) -> Curve:
    """The curve of one process, all rows at once, in fp32."""
    return one_process(run.settings, run.config)


@cache
def one_process(settings, config) -> Curve:
    return curves([Run(settings=settings, config=config)])[0]


def label(run: Run) -> str:
    layout, options = run.layout, "-".join(run.options)
    z_loss = "z" if run.config.z_loss else ""
    return f"{run.settings.optimizer}-{layout.data}-{layout.sharding}-{layout.micro_batch}{options}{z_loss}"


@pytest.mark.parametrize(
    "run",
    [pytest.param(run, marks=[pytest.mark.thorough] if run.layout.world_size > 2 else []) for run in EQUAL],
    ids=map(label, EQUAL),
)
def test_the_curve_is_that_of_one_process(run: Run) -> None:
    loss, norm = differences(curve_of(run), alone(run))
    assert loss < 1e-5
    assert norm < 1e-4


@pytest.mark.parametrize("run", NEAR, ids=label)
def test_bfloat16_is_near(run: Run) -> None:
    loss, norm = differences(curve_of(run), alone(run))
    assert loss < 0.05
    assert norm < 0.3


def test_z_loss_reaches_the_gradient() -> None:
    assert differences(one_process(ADAMW, Z_LOSS), one_process(ADAMW, MODEL))[1] > 1e-2


def test_halved_gradients_are_noticed() -> None:
    """What a wrong mean over the ranks would do: under AdamW the loss hardly shows it, the norm does at once."""
    loss, norm = differences(run_ranks(2, halved, 5), one_process(ADAMW, MODEL)[:5])
    assert norm > 0.1
    assert loss < 0.1


def halved(steps: int) -> Curve:
    engine = Run(DDP).engine()
    result = []
    for step in range(1, steps + 1):
        loss, _ = engine.gradients(rows_of(step), BATCH)
        for held in engine.held:
            held.tensor.grad /= 2
        result.append((loss, engine.optimizer.norm().item()))
        engine.update(min(1.0, step / 5), result[-1][1])
    return result


def test_ranks_agree_and_skip_and_validate_as_one() -> None:
    losses, validation = probe(Layout())
    for found in run_ranks(2, probes, [DDP, FSDP]):
        assert found[0] == pytest.approx(losses, abs=1e-5)
        assert found[1] == pytest.approx(validation, abs=1e-5)


def probes(layouts: list[Layout]) -> list:
    """probe() of each layout; the same on every rank."""
    mine, theirs = [probe(layout) for layout in layouts], [None] * dist.get_world_size()
    dist.all_gather_object(theirs, mine)
    assert theirs[0] == theirs[1]
    return mine


def probe(layout: Layout) -> tuple[list[float], list[float]]:
    """Losses of steps with a validation between two of them, a step skipped, and validation of an odd batch."""
    engine = Run(layout, MUON).engine()
    losses, validation = [], []
    for step in (1, 2, 3, 4):
        loss, norm = engine.gradients(rows_of(step), BATCH)
        losses.append(loss)
        if step == 3:
            engine.skip()
            continue
        engine.update(1.0, norm)
        validation += engine.scores(rows_of(0)(0, 5)).flatten().tolist()
    return losses, validation


def test_a_batch_that_the_ranks_cannot_share_is_refused() -> None:
    engine = Run().engine()
    engine.world_size = 5
    with pytest.raises(InputError, match=r"pretrain: batch_size 12 is not divisible by parallel.data: 5"):
        engine.gradients(rows_of(1), BATCH)


def test_unknown_recomputation_is_refused() -> None:
    with pytest.raises(InputError, match="pretrain.recompute: 'some' is not one of none, full"):
        Run(options={"recompute": "some"}).engine()


@pytest.mark.slow
@pytest.mark.parametrize("layout", [Layout(), FSDP], ids=["one", "fsdp"])
def test_a_compiled_model_follows_the_curve(layout: Layout) -> None:
    run = Run(layout, options={"compile": True, "recompute": "full"})
    loss, norm = differences(curves([run])[0], alone(run))
    assert loss < 1e-4
    assert norm < 1e-3
