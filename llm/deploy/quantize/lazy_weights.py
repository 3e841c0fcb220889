"""Reads a model directory's weights a block at a time, so that a model need not fit into memory whole."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from llm.errors import InputError
from llm.model.config import ModelConfig
from llm.model.directory import INDEX, shard_names
from llm.model.rounding import is_finite
from llm.model.tensor_names import to_ours

BLOCK = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")


@contextmanager
def opened(path: Path) -> Iterator[safe_open]:
    """Open a safetensors file. Raises InputError where it is missing or damaged."""
    try:
        with safe_open(path, "pt") as file:
            yield file
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing, which {INDEX} names; build the model again") from error
    except SafetensorError as error:
        raise InputError(f"{path} cannot be read as safetensors ({error}); build the model again") from error


def owned(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor of a mapped file, those that will be converted in memory of their own: all of the file that was
    read stays in memory as long as one of its tensors is used."""
    return tensor if tensor.dtype == torch.float32 else tensor.clone()


class LazyWeights:
    """A directory's tensors, by our names. Nothing is read before it is asked for. Methods raise InputError for weights
    that are missing, damaged or not finite."""

    def __init__(self, directory: Path, config: ModelConfig) -> None:
        self.config = config
        self.files: dict[str, Path] = {}
        paths = sorted(directory.glob("*.safetensors"))
        if (directory / INDEX).is_file():
            paths = [directory / name for name in shard_names(directory / INDEX)]
        for path in paths:
            with opened(path) as file:
                self.files |= dict.fromkeys(file.keys(), path)
        if not self.files:
            raise InputError(f"{directory}: no safetensors; a model directory holds config.json and model.safetensors")

    def block(self, index: int) -> dict[str, torch.Tensor]:
        """Return one layer's tensors by the names that they have within the layer, as they are stored."""
        own = [name for name in self.files if (found := BLOCK.search(name)) and int(found[1]) == index]
        prefix = f"model.layers.{index}."
        return {name.removeprefix(prefix): tensor for name, tensor in self.read(own).items()}

    def outside(self, part: str = "") -> Iterator[tuple[str, torch.Tensor]]:
        """Yield the tensors that are in no layer and have `part` in their name, in fp32, one after the other."""
        for own in [name for name in self.files if not BLOCK.search(name)]:
            tensors = self.read([own])
            for name in list(tensors):
                if part in name:
                    yield name, tensors.pop(name).float()  # so that nothing here holds it

    def read(self, names: list[str]) -> dict[str, torch.Tensor]:
        found: dict[str, torch.Tensor] = {}
        for path in sorted({self.files[name] for name in names}):
            with opened(path) as file:
                found |= {name: owned(file.get_tensor(name)) for name in names if self.files[name] == path}
        for name, tensor in found.items():
            if not is_finite(tensor):
                raise InputError(
                    f"{self.files[name]}: {name} is not finite: the model diverged; quantize an earlier checkpoint"
                )
        return to_ours(self.config.family, self.config.n_heads, found)
