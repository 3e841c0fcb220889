"""Reads a model directory's weights a block at a time, so that a model need not fit into memory whole."""

import re
from pathlib import Path

import torch
from safetensors import safe_open

from llm.errors import InputError
from llm.model.config import ModelConfig
from llm.model.directory import INDEX, shard_names
from llm.model.tensor_names import to_ours

BLOCK = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")


class LazyWeights:
    """A directory's tensors, by our names, in fp32. Nothing is read before it is asked for."""

    def __init__(self, directory: Path, config: ModelConfig) -> None:
        self.config = config
        self.files: dict[str, Path] = {}
        paths = sorted(directory.glob("*.safetensors"))
        if (directory / INDEX).is_file():
            paths = [directory / name for name in shard_names(directory / INDEX)]
        for path in paths:
            with safe_open(path, "pt") as file:
                self.files |= dict.fromkeys(file.keys(), path)
        if not self.files:
            raise InputError(f"{directory}: no safetensors; a model directory holds config.json and model.safetensors")

    def block(self, index: int) -> dict[str, torch.Tensor]:
        """Return one layer's tensors by the names that they have within the layer."""
        own = [name for name in self.files if (found := BLOCK.search(name)) and int(found[1]) == index]
        prefix = f"model.layers.{index}."
        return {name.removeprefix(prefix): tensor for name, tensor in self.read(own).items()}

    def outside(self) -> dict[str, torch.Tensor]:
        """Return what is in no layer."""
        return self.read([name for name in self.files if not BLOCK.search(name)])

    def read(self, names: list[str]) -> dict[str, torch.Tensor]:
        found: dict[str, torch.Tensor] = {}
        for path in sorted({self.files[name] for name in names}):
            with safe_open(path, "pt") as file:
                found |= {name: file.get_tensor(name).float() for name in names if self.files[name] == path}
        return to_ours(self.config.family, self.config.n_heads, found)
