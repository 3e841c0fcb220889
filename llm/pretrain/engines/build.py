"""Chooses the engine. Every rank calls it, inside its process group if there is one."""

from collections.abc import Callable

import torch

from llm.errors import InputError
from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM, initialise
from llm.pretrain.engines.megatron.build import build_megatron
from llm.pretrain.next_token import NextToken
from llm.training.engine import Engine
from llm.training.engines.build import build_engine as build_torch
from llm.training.engines.layout import Layout
from llm.training.engines.single import prepare_layers
from llm.training.settings import OptimizerSettings


def build_engine(
    config: ModelConfig,
    layout: Layout,
    settings: OptimizerSettings,
    dtype: torch.dtype,
    seed: int,
    recompute: str = "none",
    compile: bool = False,
    prepare: Callable[[CausalLM], CausalLM] | None = None,
) -> Engine:
    """Return this rank's engine, with the weights that the seed gives in any layout.

    dtype: of matrix products; weights, norms and sums are fp32. recompute: "none", or "full", which keeps only each
    layer's input and computes the rest again in the backward pass. compile: torch.compile for each layer and for the
    loss. prepare: done to the model before, in engine torch.
    """
    if layout.engine == "megatron":
        if prepare is not None:
            raise InputError("quantize.qat.steps: needs pretrain.parallel.engine: torch")
        return build_megatron(config, layout, settings, dtype, seed, recompute, compile)
    model = initialise(CausalLM(config), seed)
    model = prepare_layers(prepare(model) if prepare else model, recompute, compile)
    return build_torch(NextToken(model, dtype, compile), layout, settings)
