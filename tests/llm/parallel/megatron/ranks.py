"""What the ranks of these tests do: functions that pickle. Several layouts share a start, for importing megatron-core
takes seconds."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from llm.model.config import ModelConfig
from llm.parallel.build import build_engine
from llm.parallel.launch import run_ranks
from llm.parallel.layout import Layout
from llm.train.engine import Engine, Piece
from tests.llm.parallel.runs import ADAMW, MODEL, rows_of, train

FOUR = replace(MODEL, n_layers=4, init="normal", init_std=0.1)  # as many layers as stages, none of them the identity
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


def run_of(layout: Layout, config: ModelConfig, steps: int, more: int, dtype=torch.float32, directory=None) -> Run:
    """Trains, saves (recovery points below `directory`, if stated, in the background), trains on, validates on rows
    and tokens that divide by nothing."""
    engine = build_engine(config, layout, ADAMW, dtype, 3)
    curve = train(engine, 1, steps, config)
    saved = state_of(engine)
    finish = save(engine, Path(directory) / name_of(layout)) if directory else None
    curve += train(engine, steps + 1, steps + more, config)
    if finish is not None:
        finish()
    return Run(saved, curve, state_of(engine), engine.token_losses(rows_of(99, config)(0, 5)[:, :12]).numpy())


def continued_by(layout: Layout, config: ModelConfig, saved: State | Path, steps: int, more: int, dtype=torch.float32):
    """A run from a canonical state or a recovery point on, in an engine that began with other weights."""
    engine = build_engine(config, layout, ADAMW, dtype, 4)
    if isinstance(saved, Path):
        from llm.parallel.megatron.native import load_native

        load_native(engine, saved)
    else:
        tensors = {name: torch.from_numpy(array.copy()) for name, array in saved.items()}
        engine.load(reader(tensors), reader(tensors), "saved state")
    return Run(state_of(engine), train(engine, steps + 1, steps + more, config), state_of(engine), None)


def save(engine: Engine, directory: Path) -> Callable[[], None]:
    from llm.parallel.megatron.native import save_native

    if engine.rank == 0:
        directory.mkdir()
    dist.barrier()
    return save_native(engine, directory, asynchronous=True)


def name_of(layout: Layout) -> str:
    return "-".join(str(value) for value in layout.to_dict().values())


def reader(tensors: dict[str, torch.Tensor]):
    return lambda name, where: tensors[name][... if where is None else where] if name in tensors else None


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
