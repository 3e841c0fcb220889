"""Reads what safetensors and GGUF files say of their tensors: name, type, shape, and where the bytes lie. Tensors
themselves are not read, and a file that is damaged ends in ValueError or its kin, however large the numbers in it.

Layouts: https://github.com/huggingface/safetensors, "Format"; https://github.com/ggml-org/ggml, docs/gguf.md.
"""

from pathlib import Path
from typing import IO

from stemma.base.digest import from_json

SUFFIXES = (".safetensors", ".gguf")
LONGEST = 100 << 20  # bytes of a header: safetensors' own limit, and many times a vocabulary in GGUF
METADATA = "__metadata__"
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes of GGUF's values of one size
UINT32, TEXT, LIST = 4, 8, 9
MOST_DIMENSIONS = 8
ALIGNMENT = "general.alignment"
TYPES = {0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 30: "BF16"}


def header(path: Path, suffix: str) -> tuple[dict, int]:
    """Return {name: {"dtype", "shape", "data_offsets": [begin, end]}}, of safetensors with METADATA, and the position
    in the file from which offsets count. A GGUF's tensor ends where the next one begins. suffix: one of SUFFIXES, since
    a file in the store has none."""
    with path.open("rb") as file:
        size = path.stat().st_size
        found, begin = in_gguf(file, size) if suffix == ".gguf" else in_safetensors(file, size)
    for name, entry in found.items():
        if name != METADATA:
            first, end = entry["data_offsets"]
            if not 0 <= first <= end <= size - begin:
                raise ValueError(f"{name[:80]} lies beyond its end")
    return found, begin


def in_safetensors(file: IO[bytes], size: int) -> tuple[dict, int]:
    """`header` of an open safetensors file of so many bytes."""
    length = number(file, 8)
    if length > min(size, LONGEST):
        raise ValueError(f"a header of {length:,} bytes")
    found = from_json(file.read(length))
    if not isinstance(found, dict):
        raise ValueError("its header is no object")
    return found, 8 + length


def in_gguf(file: IO[bytes], size: int) -> tuple[dict, int]:
    """`header` of an open GGUF file of so many bytes."""
    if file.read(4) != b"GGUF" or number(file, 4) not in (2, 3):
        raise ValueError("it does not begin as GGUF 2 or 3, little-endian")
    tensors, values = number(file, 8), number(file, 8)
    alignment = 32
    for _ in range(values):
        key, kind = text(file), number(file, 4)
        if key == ALIGNMENT and kind == UINT32:
            alignment = number(file, 4) or 1
        else:
            pass_over(file, kind, size)
    stated = []
    for _ in range(tensors):
        name, dimensions = text(file), number(file, 4)
        if dimensions > MOST_DIMENSIONS:
            raise ValueError(f"a tensor has {dimensions:,} dimensions")
        shape = [number(file, 8) for _ in range(dimensions)]
        kind, offset = number(file, 4), number(file, 8)
        stated.append((offset, name, TYPES.get(kind, f"type {kind}"), shape))
    begin = -(-file.tell() // alignment) * alignment
    ends = sorted(offset for offset, *_ in stated)
    until = dict(zip(ends, [*ends[1:], max(0, size - begin)], strict=True))
    return {
        name: {"dtype": dtype, "shape": shape, "data_offsets": [offset, until[offset]]}
        for offset, name, dtype, shape in stated
    }, begin


def pass_over(file: IO[bytes], kind: int, size: int) -> None:
    """Go on behind a value of GGUF's; lists in lists, which no model has, are refused."""
    if kind in SIZES:
        skip(file, SIZES[kind], size)
    elif kind == TEXT:
        skip(file, number(file, 8), size)
    elif kind == LIST:
        inner, count = number(file, 4), number(file, 8)
        if inner in SIZES:
            skip(file, SIZES[inner] * count, size)
        elif inner == TEXT:
            for _ in range(count):
                skip(file, number(file, 8), size)
        else:
            raise ValueError(f"a list of type {inner}")
    else:
        raise ValueError(f"type {kind} of a value is unknown")


def number(file: IO[bytes], width: int) -> int:
    """Read an unsigned number of so many bytes; ValueError where the file or LONGEST ends."""
    data = file.read(width)
    if len(data) < width or file.tell() > LONGEST:
        raise ValueError("its header is longer than the file, or than any")
    return int.from_bytes(data, "little")


def text(file: IO[bytes]) -> str:
    """Read a key's or a tensor's name, after its length."""
    length = number(file, 8)
    if length > 1 << 16:
        raise ValueError(f"a name of {length:,} bytes")
    return file.read(length).decode("utf-8", "replace")


def skip(file: IO[bytes], length: int, size: int) -> None:
    if length > size - file.tell():
        raise ValueError(f"{length:,} bytes are beyond its end")
    file.seek(length, 1)
