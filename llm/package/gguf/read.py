"""Reads a GGUF file: metadata as plain values, tensors in fp32, dequantized where they are not."""

import mmap
from dataclasses import dataclass
from pathlib import Path

import torch
from gguf import GGUFReader
from gguf.constants import GGMLQuantizationType
from gguf.quants import dequantize

from llm.errors import InputError
from llm.package.gguf.check import check_sizes

MAGIC = b"GGUF"


@dataclass(frozen=True)
class Gguf:
    """values: metadata by key. tensors: by GGUF's names, fp32. stored: how many tensors the file has of each type."""

    values: dict
    tensors: dict[str, torch.Tensor]
    stored: dict[str, int]


def read_gguf(path: Path) -> Gguf:
    """Return what a file holds. Raises InputError for a file that is truncated or damaged."""
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
            memoryview(data) as view,
        ):
            check_sizes(view)
        reader = GGUFReader(path)
        values = {name: field.contents() for name, field in reader.fields.items()}
    except (ValueError, IndexError, KeyError, OverflowError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name}: not a whole GGUF file ({error}); fetch it again") from error
    tensors: dict[str, torch.Tensor] = {}
    stored: dict[str, int] = {}
    for each in reader.tensors:
        kind = GGMLQuantizationType(each.tensor_type)
        stored[kind.name] = stored.get(kind.name, 0) + 1
        try:
            tensors[each.name] = torch.from_numpy(dequantize(each.data, kind).astype("float32"))
        except NotImplementedError as error:
            raise InputError(f"{path.name}: {each.name} is {kind.name}, which cannot be dequantized here") from error
    return Gguf(values, tensors, stored)
