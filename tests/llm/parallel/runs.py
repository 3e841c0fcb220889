"""Short runs of any layout on random tokens, for tests and benchmarks/layouts.py: functions that pickle."""

from collections.abc import Callable

import torch

from llm.model.config import ModelConfig
from llm.parallel.build import build_engine
from llm.parallel.launch import run_ranks
from llm.parallel.layout import Layout
from llm.train.engine import Engine
from llm.train.optimizer import OptimizerSettings

BATCH = 12
MODEL = ModelConfig(67, 32, 2, 4, 2, 8, 70, 16)  # neither the vocabulary nor d_ff divides by 3
ADAMW = OptimizerSettings("adamw", 0.01, 0.02, 0.1, 1.0)
MUON = OptimizerSettings("muon", 0.01, 0.02, 0.1, 1.0)


def rows_of(step: int, config: ModelConfig) -> Callable[[int, int], torch.Tensor]:
    """The batch of a step: walks through the vocabulary with noise, so that there is something to learn."""
    generator = torch.Generator().manual_seed(step)
    shape = (BATCH, config.context_length + 1)
    steps = torch.where(
        torch.rand(shape, generator=generator) < 0.2, torch.randint(0, 9, shape, generator=generator), 5
    )
    tokens = steps.cumsum(1) % config.vocab_size
    return lambda first, count: tokens[first : first + count]


def train(engine: Engine, first: int, last: int, config: ModelConfig = MODEL) -> list[tuple[float, float]]:
    """Updates first ... last; (loss, gradient norm) of each."""
    curve = []
    for step in range(first, last + 1):
        curve.append(engine.gradients(rows_of(step, config), BATCH))
        engine.update(min(1.0, step / 5), curve[-1][1])
    return curve


def curve(
    layout: Layout, settings: OptimizerSettings, dtype=torch.float32, steps=50, **options
) -> list[tuple[float, float]]:
    """Of a run from seed 3, on as many processes as the layout has ranks."""
    return run_ranks(layout.world_size, curve_of_rank, layout, settings, dtype, steps, options, timeout=120.0)


def curve_of_rank(layout, settings, dtype, steps, options) -> list[tuple[float, float]]:
    config = options.pop("config", MODEL)
    return train(build_engine(config, layout, settings, dtype, 3, **options), 1, steps, config)
