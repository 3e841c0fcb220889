"""The way in to engine megatron: what has to happen before megatron.core may be imported, then the engine."""

import warnings

import torch

from llm.errors import InputError
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
    recompute: str,
    compile: bool,
    transformer_engine: bool = False,
) -> Engine:
    """llm/parallel/build.py's build_engine for this engine. `transformer_engine`: layers of that package, where it is
    installed with CUDA. Importing megatron-core takes seconds, so it is imported here."""
    if compile:
        raise InputError("pretrain.compile: true is for pretrain.parallel.engine: torch; set it to false")
    shim.install()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*Apex (are|is) not installed")  # they are optional
        from llm.parallel.megatron.engine import MegatronEngine
    return MegatronEngine(config, layout, settings, dtype, seed, recompute == "full", transformer_engine)
