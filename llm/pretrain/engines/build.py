"""Chooses the engine. Every rank calls it, inside its process group if there is one."""

import torch

from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM, initialise
from llm.pretrain.engine import Engine
from llm.pretrain.engines.ddp import DDPEngine
from llm.pretrain.engines.fsdp import FSDPEngine
from llm.pretrain.engines.layout import Layout
from llm.pretrain.engines.megatron.build import build_megatron
from llm.pretrain.engines.single import SingleEngine, prepare_layers
from llm.pretrain.settings import OptimizerSettings
from llm.runtime.device import default_device


def build_engine(
    config: ModelConfig,
    layout: Layout,
    settings: OptimizerSettings,
    dtype: torch.dtype,
    seed: int,
    recompute: str = "none",
    compile: bool = False,
) -> Engine:
    """Return this rank's engine, with the weights that the seed gives in any layout.

    dtype: of matrix products; weights, norms and sums are fp32. recompute: "none", or "full", which keeps only each
    layer's input and computes the rest again in the backward pass. compile: torch.compile for each layer and for the
    loss.
    """
    if layout.engine == "megatron":
        return build_megatron(config, layout, settings, dtype, seed, recompute, compile)
    device = default_device()
    model = prepare_layers(initialise(CausalLM(config), seed), recompute, compile)
    if layout.world_size > 1 and layout.sharding == "full":
        return FSDPEngine(model, settings, dtype, device, layout.micro_batch, compile)
    engine = SingleEngine if layout.world_size == 1 else DDPEngine
    return engine(model.to(device), settings, dtype, layout.micro_batch, compile)
