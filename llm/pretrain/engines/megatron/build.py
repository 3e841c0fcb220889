"""Builds engine megatron, after what has to happen before megatron.core may be imported."""

import warnings

import torch

from llm.errors import InputError
from llm.model.config import ModelConfig
from llm.pretrain.engines.megatron import shim
from llm.training.engine import Engine
from llm.training.engines.layout import Layout
from llm.training.settings import OptimizerSettings


def build_megatron(
    config: ModelConfig,
    layout: Layout,
    settings: OptimizerSettings,
    dtype: torch.dtype,
    seed: int,
    recompute: str,
    compile: bool,
) -> Engine:
    """Return this rank's engine, as llm/pretrain/engines/build.py's build_engine. megatron-core is imported here,
    because that takes seconds."""
    if compile:
        raise InputError("pretrain.compile: true is for pretrain.parallel.engine: torch; set it to false")
    shim.install()
    if not torch.cuda.is_available():  # megatron-core warns of each missing CUDA extension, on each rank
        warnings.filterwarnings("ignore", module=r"megatron\.core")
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.distributed")
    from llm.pretrain.engines.megatron.engine import MegatronEngine

    return MegatronEngine(config, layout, settings, dtype, seed, recompute == "full")
