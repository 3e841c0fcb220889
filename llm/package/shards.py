"""Writes a model's tensors as safetensors: one file, or several with an index."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy  # noqa: F401 (torch gives a tensor's bytes through it, and says so in no requirement)
import torch

from llm.io.json import write_json
from llm.model.directory import INDEX, WEIGHTS_NAME

METADATA = {"format": "pt"}
# In the order in which the safetensors package lays tensors out: the widest first, for alignment.
DTYPES = {
    torch.int64: "I64", torch.float64: "F64", torch.float32: "F32", torch.int32: "I32", torch.bfloat16: "BF16",
    torch.float16: "F16", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
ORDER = list(DTYPES)


@dataclass
class Shard:
    """A safetensors file that is being written. Tensors are added one after the other, to a file beside it, since the
    header and the order can only be known when all are there."""

    path: Path
    entries: dict[str, tuple[torch.dtype, list[int], int, int]] = field(default_factory=dict)  # shape, begin, bytes
    bytes: int = 0

    @property
    def raw(self) -> Path:
        return self.path.with_suffix(".raw")

    def add(self, name: str, tensor: torch.Tensor) -> None:
        tensor = tensor.detach().cpu().contiguous()
        with self.raw.open("ab") as file:
            file.write(tensor.flatten().view(torch.uint8).numpy().data)
        self.entries[name] = tensor.dtype, list(tensor.shape), self.bytes, tensor.nbytes
        self.bytes += tensor.nbytes

    def close(self) -> None:
        """Write the file, to the bytes of the safetensors package."""
        names = sorted(self.entries, key=lambda name: (ORDER.index(self.entries[name][0]), name))
        header: dict[str, dict] = {"__metadata__": METADATA}
        at = 0
        for name in names:
            dtype, shape, _, size = self.entries[name]
            header[name] = {"dtype": DTYPES[dtype], "shape": shape, "data_offsets": [at, at + size]}
            at += size
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 8)
        with self.path.open("wb") as file, self.raw.open("rb") as raw:
            file.write(len(text).to_bytes(8, "little") + text)
            for name in names:
                raw.seek(self.entries[name][2])
                copy_some(raw, file, self.entries[name][3])
        self.raw.unlink()


def write_shards(tensors: Iterable[tuple[str, torch.Tensor]], directory: Path, limit: int) -> None:
    """Write tensors by their names. Where they are made one after the other, one of them is in memory at a time. A
    shard has at most `limit` bytes. A tensor is never split; one that is larger than a shard has a shard of its own."""
    shards = [Shard(directory / "shard-0.part")]
    for name, tensor in tensors:
        if shards[-1].entries and shards[-1].bytes + tensor.nbytes > limit:
            shards[-1].close()
            shards.append(Shard(directory / f"shard-{len(shards)}.part"))
        shards[-1].add(name, tensor)
        del tensor  # before the next one is made
    shards[-1].close()
    count = len(shards)
    if count == 1:
        shards[0].path.rename(directory / WEIGHTS_NAME)
        return
    where: dict[str, str] = {}
    for number, shard in enumerate(shards):
        name = f"model-{number + 1:05}-of-{count:05}.safetensors"
        shard.path.rename(directory / name)
        where |= dict.fromkeys(sorted(shard.entries), name)
    total = sum(shard.bytes for shard in shards)
    write_json(directory / INDEX, {"metadata": {"total_size": total}, "weight_map": where})


def copy_some(source: BinaryIO, target: BinaryIO, count: int) -> None:
    """Copy so many bytes, a few megabytes at a time."""
    while count:
        piece = source.read(min(count, 1 << 22))
        if not piece:
            raise OSError(f"{source.name}: {count} bytes that were written are gone")
        target.write(piece)
        count -= len(piece)
