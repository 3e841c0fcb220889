"""The way in to engine megatron: what has to happen before megatron.core may be imported, then the engine."""

import warnings

import torch

from llm.model.config import ModelConfig
from llm.parallel.layout import Layout
from llm.parallel.megatron import shim
from llm.train.engine import Engine
from llm.train.optimizer import OptimizerSettings


def build_megatron(
    config: ModelConfig,
    layout: Layout,
    settings: OptimizerSettings,
    dtype: torch.dtype,
    seed: int,
    recompute: bool = False,
    transformer_engine: bool = False,
) -> Engine:
    """This rank's engine, with the weights that engine torch begins with. Importing megatron-core takes seconds, so it
    is imported here."""
    shim.install()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Transformer Engine and Apex are not installed")
        from llm.parallel.megatron.engine import MegatronEngine
    return MegatronEngine(config, layout, settings, dtype, seed, recompute, transformer_engine)
