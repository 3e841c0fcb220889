"""Writes a model's tensors as safetensors: one file, or several with an index."""

from collections.abc import Iterable
from pathlib import Path

import numpy  # noqa: F401 (safetensors.torch writes through it, and says so in an extra alone)
import torch
from safetensors.torch import save_file

from llm.io.json import write_json
from llm.model.directory import INDEX, WEIGHTS_NAME

METADATA = {"format": "pt"}


def write_shards(parts: Iterable[dict[str, torch.Tensor]], directory: Path, limit: int) -> None:
    """Write the tensors of `parts`, which may come one after the other: at most a shard of them, `limit` bytes, is in
    memory. A tensor is never split; one that is larger than a shard has a shard of its own."""
    files: list[list[str]] = []
    held: dict[str, torch.Tensor] = {}
    held_bytes = total = 0

    def flush() -> None:
        save_file(held, directory / f"shard-{len(files)}.part", metadata=METADATA)
        files.append(sorted(held))
        held.clear()

    for part in parts:
        for name, tensor in part.items():
            if held and held_bytes + tensor.nbytes > limit:
                flush()
                held_bytes = 0
            held[name] = tensor.detach().contiguous()
            held_bytes += tensor.nbytes
            total += tensor.nbytes
    flush()
    count = len(files)
    if count == 1:
        (directory / "shard-0.part").rename(directory / WEIGHTS_NAME)
        return
    where: dict[str, str] = {}
    for number, names in enumerate(files):
        name = f"model-{number + 1:05}-of-{count:05}.safetensors"
        (directory / f"shard-{number}.part").rename(directory / name)
        where |= dict.fromkeys(names, name)
    write_json(directory / INDEX, {"metadata": {"total_size": total}, "weight_map": where})
