"""Weights that were trained as a whole, without an adapter: a model's safetensors file, by this project's names."""

from pathlib import Path

import numpy  # noqa: F401 (safetensors.torch writes through it, and says so in an extra alone)
import torch
from safetensors.torch import save_file
from torch import nn

from llm.align.lora import CONFIG_NAME, load_adapter, lora_layers, merge_lora
from llm.errors import InputError
from llm.model.directory import WEIGHTS_NAME, load_weights
from llm.model.transformer import CausalLM


def save_whole(weights: dict[str, torch.Tensor], directory: Path) -> None:
    """Write all weights of a model, in fp32."""
    tensors = {name: weights[name].detach().float().contiguous() for name in sorted(weights)}
    save_file(tensors, directory / WEIGHTS_NAME, {"format": "pt"})


def is_whole(directory: Path) -> bool:
    """Does a method's directory hold whole weights? It is an adapter's otherwise."""
    return (directory / WEIGHTS_NAME).is_file() and not (directory / CONFIG_NAME).exists()


def take_trained(model: CausalLM, directory: Path) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Give a model what a method made of it, an adapter that is folded in or whole weights. Return the matrices that
    were trained, by name, before and after. Raises InputError where they are not of this model."""
    if is_whole(directory):
        linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
        before = {name: module.weight.detach().clone() for name, module in linear.items()}
        load_weights(model, directory / WEIGHTS_NAME)
    else:
        rest = load_adapter(model, directory)
        if rest:
            raise InputError(f"{directory}: {min(rest)} is trained as a whole beside the adapter; merging drops it")
        before = {name: layer.base.weight.detach().clone() for name, layer in lora_layers(model).items()}
        merge_lora(model)
    weights = dict(model.named_parameters())
    return {name: (weight, weights[f"{name}.weight"].detach()) for name, weight in before.items()}
