"""What the ranks of these tests do: functions that pickle. Several layouts share a start, for importing megatron-core
takes seconds."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from llm.model.config import ModelConfig
from llm.pretrain.engines.build import build_engine
from llm.runtime.agreement import Ranks
from llm.runtime.launch import run_ranks
from llm.training.checkpoint import Snapshot, load_checkpoint, save_checkpoint
from llm.training.engine import Engine, Piece
from llm.training.engines.layout import Layout
from tests.llm.pretrain.engines.runs import ADAMW, BATCH, MODEL, rows_of, train

FOUR = replace(MODEL, n_layers=4, init="normal", init_std=0.05)  # as many layers as stages, none of them the identity
SINGLE = Layout("torch")
LAYOUTS = {
    "megatron": Layout("megatron"),
    "DP2": Layout("megatron", data=2),
    "DP2, distributed optimizer": Layout("megatron", data=2, sharding="optimizer"),
    "TP2": Layout("megatron", tensor=2),
    "TP2 + SP": Layout("megatron", tensor=2, sequence=True),
    "PP2": Layout("megatron", pipeline=2, micro_batch=3),
    "PP2, interleaved": Layout("megatron", pipeline=2, virtual=2, micro_batch=3),
    "CP2": Layout("megatron", context=2),
    "TP2 x PP2": Layout("megatron", tensor=2, pipeline=2, micro_batch=4),
}
State = dict[str, np.ndarray]
STATE = {
    "config": "toy",
    "step": 0,
    "tokens_seen": 0,
    "skipped": 0,
    "window": 0,
}  # of a checkpoint; none reads the numbers


@dataclass(frozen=True)
class Run:
    """`saved`: the canonical state that it left behind or began with. `curve`: (loss, gradient norm) of each step."""

    saved: State
    curve: list[tuple[float, float]]
    end: State
    losses: np.ndarray | None


def on_ranks(jobs: dict[str, tuple]) -> dict:
    """{name: work(layout, *arguments)} of {name: (layout, work, *arguments)}, each on its layout's ranks; those of one
    world size share their processes."""
    found = {}
    for size in sorted({job[0].world_size for job in jobs.values()}):
        found |= run_ranks(size, each, {n: job for n, job in jobs.items() if job[0].world_size == size}, timeout=300.0)
    return {name: found[name] for name in jobs}


def each(jobs: dict[str, tuple]) -> dict:
    return {name: work(layout, *arguments) for name, (layout, work, *arguments) in jobs.items()}


def curve_of(layout: Layout, config: ModelConfig, steps: int, dtype=torch.float32, recompute="none", settings=ADAMW):
    engine = build_engine(config, layout, settings, dtype, 3, recompute)
    return train(engine, 1, steps, config)


def halved_curve_of(layout: Layout, config: ModelConfig, steps: int) -> list[tuple[float, float]]:
    """A fault that no loss shows at once: after the ranks have summed their gradients they halve them."""
    engine = build_engine(config, layout, ADAMW, torch.float32, 3)
    finalize = engine.core.finalize_model_grads_func

    def halve(chunks, *arguments, **options) -> None:
        finalize(chunks, *arguments, **options)
        for chunk in chunks:
            chunk.scale_gradients(0.5)

    engine.core.finalize_model_grads_func = halve
    return train(engine, 1, steps, config)


def skipped_by(layout: Layout, config: ModelConfig) -> tuple[tuple, tuple, bool]:
    """Skips a step whose gradient is not finite, for a fault on the last rank: what rank 0 sees of it, and of the same
    step without the fault; whether the state is as before."""
    engine = build_engine(config, layout, ADAMW, torch.float32, 3)
    train(engine, 1, 2, config)
    before = state_of(engine)
    weight = next(iter(engine.held)).parameter.data
    kept = weight.clone()
    if engine.rank == engine.world_size - 1:
        weight.fill_(float("nan"))
    bad = engine.gradients(rows_of(3, config), BATCH)
    engine.skip()
    weight.copy_(kept)
    good = engine.gradients(rows_of(3, config), BATCH)
    engine.skip()
    after = state_of(engine)
    return bad, good, all(np.array_equal(after[name], before[name]) for name in before)


def run_of(layout: Layout, config: ModelConfig, steps: int, more: int, directory: Path, dtype=torch.float32) -> Run:
    """Trains, saves (a checkpoint below `directory`), trains on, validates on
    rows and tokens that divide by nothing."""
    engine = build_engine(config, layout, ADAMW, dtype, 3)
    curve = train(engine, 1, steps, config)
    saved = state_of(engine)
    ranks = Ranks(engine.rank, engine.world_size)
    save_checkpoint(made(directory / name_of(layout)), Snapshot.of(engine), STATE, ranks)
    curve += train(engine, steps + 1, steps + more, config)
    return Run(saved, curve, state_of(engine), engine.scores(rows_of(99, config)(0, 5)[:, :12]).numpy())


def continued_by(layout: Layout, config: ModelConfig, saved: Path, steps: int, more: int, dtype=torch.float32) -> Run:
    """A run from a checkpoint on, in an engine that began with other weights."""
    engine = build_engine(config, layout, ADAMW, dtype, 4)
    load_checkpoint(saved, engine, "toy", Ranks(engine.rank, engine.world_size))
    return Run(state_of(engine), train(engine, steps + 1, steps + more, config), state_of(engine), None)


def made(directory: Path) -> Path:
    """The directory, on all ranks."""
    directory.mkdir(parents=True, exist_ok=True)
    if dist.is_initialized():
        dist.barrier()
    return directory


def name_of(layout: Layout) -> str:
    return "-".join(str(value) for value in layout.to_dict().values())


def state_of(engine: Engine) -> State:
    """Weights and optimizer as whole tensors; every element must come from exactly one rank."""
    own = [(p.name, p.shape, p.offset, p.tensor.numpy()) for p in (*engine.weights(), *engine.optimizer_state())]
    every = [own]
    if dist.is_initialized():
        every = [None] * engine.world_size
        dist.all_gather_object(every, own)
    return assembled(
        [Piece(name, shape, offset, torch.from_numpy(a)) for part in every for name, shape, offset, a in part]
    )


def assembled(pieces: list[Piece]) -> State:
    tensors, times = {}, {}
    for piece in pieces:
        where = tuple(slice(start, start + size) for start, size in zip(piece.offset, piece.tensor.shape, strict=True))
        tensors.setdefault(piece.name, np.zeros(piece.shape, np.float32))[where] = piece.tensor.numpy()
        times.setdefault(piece.name, np.zeros(piece.shape, int))[where] += 1
    assert all((count == 1).all() for count in times.values())
    return tensors
