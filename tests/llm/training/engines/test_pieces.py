"""Checkpoints in pieces: every element once, bit for bit at one number of ranks, the same curve at another."""

import hashlib
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
import torch.distributed as dist

from llm.errors import InputError
from llm.runtime.launch import run_ranks
from llm.training.engine import Engine, Piece, Read
from llm.training.engines.layout import Layout
from llm.training.engines.sharded_muon import spread
from tests.llm.pretrain.engines.runs import ADAMW, MUON, THIN, Run, differences, train

ONE, DDP, FSDP, FSDP3 = Layout(), Layout(data=2), Layout(data=2, sharding="full"), Layout(data=3, sharding="full")
DDP3 = Layout(data=3)
State = tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]


def build(layout: Layout, settings) -> Engine:
    return Run(layout, settings, config=THIN).engine()


def whole(pieces: list[Piece]) -> dict[str, torch.Tensor]:
    """All ranks' pieces put together; fails unless every element is there exactly once."""
    everything = [[(piece.name, piece.shape, piece.offset, piece.tensor.numpy().copy()) for piece in pieces]]
    if dist.is_initialized():
        mine, everything = everything[0], [None] * dist.get_world_size()
        dist.all_gather_object(everything, mine)
    tensors, counts = {}, {}
    for name, shape, offset, array in (piece for pieces in everything for piece in pieces):
        where = tuple(slice(start, start + size) for start, size in zip(offset, array.shape, strict=True))
        tensors.setdefault(name, np.zeros(shape, array.dtype))[where] = array
        counts.setdefault(name, np.zeros(shape, np.int64))[where] += 1
    assert all((count == 1).all() for count in counts.values())
    return {name: torch.from_numpy(array) for name, array in tensors.items()}


def state_of(engine: Engine) -> State:
    return whole(engine.weights()), whole(engine.optimizer_state())


def reader(tensors: dict[str, torch.Tensor]) -> Read:
    return lambda name, where: tensors[name][where or ...].clone() if name in tensors else None


def digest(state: State) -> str:
    sha = hashlib.sha256()
    for tensors in state:
        for name in sorted(tensors):
            sha.update(name.encode() + tensors[name].numpy().tobytes())
    return sha.hexdigest()


def straight(layouts: list[Layout]) -> list[tuple[str, str]]:
    """For each layout and optimizer: digests after 40 steps, and after 20 + 20 in a new engine from the pieces."""
    digests = []
    for layout, settings in product(layouts, (ADAMW, MUON)):
        engine = build(layout, settings)
        train(engine, 1, 20)
        half = state_of(engine)
        train(engine, 21, 40)
        again = build(layout, settings)
        again.load(*map(reader, half), "half")
        train(again, 21, 40)
        digests.append((digest(state_of(engine)), digest(state_of(again))))
    return digests


def first_half(layout: Layout, settings) -> tuple[State, list[tuple[float, float]]]:
    """The state after 20 steps, and the curve of the next 20."""
    engine = build(layout, settings)
    train(engine, 1, 20)
    return state_of(engine), train(engine, 21, 40)


def second_half(layout: Layout, settings, state: State) -> list[tuple[float, float]]:
    engine = build(layout, settings)
    engine.load(*map(reader, state), "half")
    assert digest(state_of(engine)) == digest(state)
    return train(engine, 21, 40)


def on_ranks(layout: Layout, work: Callable, *arguments: object) -> object:
    return run_ranks(layout.world_size, work, layout, *arguments, timeout=120.0)


@pytest.mark.parametrize(
    "layouts",
    [[ONE], [DDP, FSDP], pytest.param([DDP3, FSDP3], marks=pytest.mark.thorough)],
    ids=["one", "two", "three"],
)
def test_twenty_and_twenty_steps_are_forty(layouts: list[Layout]) -> None:
    for at_once, resumed in run_ranks(layouts[0].world_size, straight, layouts, timeout=120.0):
        assert at_once == resumed


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(ONE, FSDP, marks=pytest.mark.thorough),
        (FSDP, ONE),
        pytest.param(FSDP3, DDP, marks=pytest.mark.thorough),
    ],
    ids=["one-fsdp", "fsdp-one", "fsdp3-ddp"],
)
def test_another_number_of_ranks_goes_on_with_the_same_curve(before: Layout, after: Layout) -> None:
    state, wanted = on_ranks(before, first_half, MUON)
    loss, _ = differences(on_ranks(after, second_half, MUON, state), wanted)
    assert loss < 1e-6


@pytest.mark.parametrize("settings", [ADAMW, MUON], ids=["adamw", "muon"])
def test_a_checkpoint_from_before_the_first_update(settings) -> None:
    """Training that skipped every step so far is kept, and goes on, like any other."""
    engine, again = build(ONE, settings), build(ONE, settings)
    again.load(*map(reader, state_of(engine)), "beginning")
    assert train(again, 1, 5) == train(engine, 1, 5)
    assert digest(state_of(again)) == digest(state_of(engine))


def test_a_checkpoint_of_another_optimizer_or_model_is_refused() -> None:
    weights, optimizer = state_of(build(ONE, ADAMW))
    engine = build(ONE, MUON)
    with pytest.raises(
        InputError, match=r"^there has no muon\.model\.layers\.0\.self_attn\.q_proj\.weight\.momentum_buffer"
    ):
        engine.load(reader(weights), reader(optimizer), "there")
    del weights["model.norm.weight"]
    with pytest.raises(InputError, match=r"^there: model\.norm\.weight is missing"):
        engine.load(reader(weights), reader(optimizer), "there")


def test_the_ranks_of_ddp_share_the_writing() -> None:
    assert spread([4, 3, 2, 1, 1], 2) == [0, 1, 1, 0, 0]
