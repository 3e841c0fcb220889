"""Short runs of any layout on random tokens, for tests and benchmarks/layouts.py: functions that pickle."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch

from llm.model.config import ModelConfig
from llm.pretrain.engines.build import build_engine
from llm.runtime.launch import run_ranks
from llm.training.engine import Engine
from llm.training.engines.layout import Layout
from llm.training.settings import OptimizerSettings

BATCH = 12
MODEL = ModelConfig(67, 32, 2, 4, 2, 8, 70, 16)  # neither the vocabulary nor d_ff divides by 3
THIN = replace(MODEL, n_kv_heads=1, d_head=4)  # of the 4 rows of k_proj 3 ranks hold 2, 2 and none
ADAMW = OptimizerSettings("adamw", 0.01, 0.02, 0.1, 1.0)
MUON = OptimizerSettings("muon", 0.01, 0.02, 0.1, 1.0)
Curve = list[tuple[float, float]]  # (loss, gradient norm) of each step


@dataclass(frozen=True)
class Run:
    """From the weights of seed 3. options: recompute, compile."""

    layout: Layout = Layout()
    settings: OptimizerSettings = ADAMW
    dtype: torch.dtype = torch.float32
    steps: int = 50
    config: ModelConfig = MODEL
    options: dict = field(default_factory=dict)

    def engine(self) -> Engine:
        return build_engine(self.config, self.layout, self.settings, self.dtype, 3, **self.options)


def rows_of(step: int, config: ModelConfig = MODEL) -> Callable[[int, int], torch.Tensor]:
    """The batch of a step: walks through the vocabulary with noise, so that there is something to learn."""
    generator = torch.Generator().manual_seed(step)
    shape = (BATCH, config.context_length + 1)
    noise = torch.rand(shape, generator=generator) < 0.2
    tokens = torch.where(noise, torch.randint(0, 9, shape, generator=generator), 5).cumsum(1) % config.vocab_size
    return lambda first, count: tokens[first : first + count]


def train(engine: Engine, first: int, last: int, config: ModelConfig = MODEL) -> Curve:
    """Updates first ... last."""
    curve = []
    for step in range(first, last + 1):
        curve.append(engine.gradients(rows_of(step, config), BATCH))
        engine.update(min(1.0, step / 5), curve[-1][1])
    return curve


def curves(runs: list[Run]) -> list[Curve]:
    """Of runs that all have one number of ranks, on ranks that start once."""
    return run_ranks(runs[0].layout.world_size, curves_of_rank, runs, timeout=120.0)


def curves_of_rank(runs: list[Run]) -> list[Curve]:
    return [train(run.engine(), 1, run.steps, run.config) for run in runs]


def differences(found: Curve, wanted: Curve) -> tuple[float, float]:
    """The largest difference of two curves at any step: of the loss, of the gradient's norm."""
    pairs = list(zip(found, wanted, strict=True))
    return tuple(max(abs(ours[kind] - theirs[kind]) for ours, theirs in pairs) for kind in (0, 1))
