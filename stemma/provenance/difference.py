"""Finds where two files first differ: the byte, and what that byte means in JSON, Parquet, safetensors and GGUF.

It compares two builds of one artifact, block by block, so a checkpoint needs no memory. Judging the difference is left
to the reader.
"""

import shutil
import subprocess
from dataclasses import dataclass
from math import prod
from pathlib import Path

from stemma.base.digest import from_json
from stemma.base.errors import StemmaError
from stemma.provenance.tensor_files import METADATA, SUFFIXES, header

BLOCK = 1 << 20
ROW = 16  # bytes in a row of the dump, which begins one row before the difference and ends one row after it
LINES = 200  # of diffoscope's output


@dataclass(frozen=True)
class Difference:
    """The first byte that differs, both files' bytes around it from `start` on, and its meaning (None: just bytes)."""

    offset: int
    start: int
    here: bytes
    there: bytes
    meaning: str | None


def first_difference(here: Path, there: Path) -> Difference | None:
    """Compare two files; None where they are equal."""
    with here.open("rb") as one, there.open("rb") as other:
        offset = 0
        while (left := one.read(BLOCK)) == (right := other.read(BLOCK)):
            if not left:
                return None
            offset += len(left)
        offset += differing_byte(left, right)
        start = max(0, offset - offset % ROW - ROW)
        one.seek(start)
        other.seek(start)
        return Difference(offset, start, one.read(3 * ROW), other.read(3 * ROW), meaning(here, there))


def differing_byte(one: bytes, other: bytes) -> int:
    """Return the index of the first byte at which two unequal buffers differ; if one is a prefix, its length."""
    low, high = 0, min(len(one), len(other))
    while low < high:  # bisection: slices compare at the speed of memory
        middle = (low + high) // 2
        if one[low : middle + 1] == other[low : middle + 1]:
            low = middle + 1
        else:
            high = middle
    return low


def explain(difference: Difference, name: str) -> str:
    """Format a difference for people: place, meaning, both sides in hex."""
    lines = [f"{name}: first difference at byte {difference.offset:,} ({difference.offset:#x})"]
    if difference.meaning:
        lines.append(f"  {difference.meaning}")
    for side, data in (("here", difference.here), ("rebuilt", difference.there)):
        rows = hexdump(data, difference.start) or ["(ends before)"]
        lines += [f"  {side if number == 0 else '':<8} {row}" for number, row in enumerate(rows)]
    return "\n".join(lines)


def hexdump(data: bytes, start: int) -> list[str]:
    """Format bytes as rows of 16: offset, hex, printable characters."""
    rows = []
    for place in range(0, len(data), ROW):
        row = data[place : place + ROW]
        said = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        rows.append(f"{start + place:08x}  {row.hex(' '):<47}  {said}")
    return rows


def meaning(here: Path, there: Path) -> str | None:
    """Describe the first difference in terms of the format; None for an unknown format."""
    readers = {".json": in_json, ".parquet": in_parquet} | dict.fromkeys(SUFFIXES, in_tensors)
    compare = readers.get(here.suffix, in_lines if is_text(here) and is_text(there) else None)
    if compare is None:
        return None
    try:
        return compare(here, there)
    except (ValueError, KeyError, TypeError) as error:  # a damaged file is a finding too
        return f"one of them is not whole {here.suffix.lstrip('.') or 'text'}: {brief(error)}"


def is_text(path: Path) -> bool:
    """Is it text, judged by its first 8192 bytes?"""
    with path.open("rb") as file:
        return b"\0" not in file.read(8192)


def in_lines(here: Path, there: Path) -> str | None:
    """Describe the first line that differs."""
    with here.open(errors="replace") as one, there.open(errors="replace") as other:
        for number, pair in enumerate(zip(one, other, strict=False), 1):
            if pair[0] != pair[1]:
                return f"line {number}: {brief(pair[0].rstrip())} here, {brief(pair[1].rstrip())} rebuilt"
    return None


def in_json(here: Path, there: Path) -> str | None:
    """Describe the first key that differs, by its path."""
    return in_values(from_json(here.read_bytes()), from_json(there.read_bytes()), "")


def in_values(one: object, other: object, place: str) -> str | None:
    """Describe the first place where two JSON values differ, in the order of the first one's keys."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            inside = f"{place}.{key}" if place else key
            if key not in one or key not in other:
                return f"{inside}: only {'here' if key in one else 'rebuilt'}"
            if found := in_values(one[key], other[key], inside):
                return found
        return None if list(one) == list(other) else f"{place or 'the top level'}: the order of the keys"
    if isinstance(one, list) and isinstance(other, list):
        for number, (left, right) in enumerate(zip(one, other, strict=False)):
            if found := in_values(left, right, f"{place}[{number}]"):
                return found
        if len(one) != len(other):
            return f"{place or 'the top level'}: {len(one)} entries here, {len(other)} rebuilt"
        return None
    if one == other and type(one) is type(other):
        return None
    return f"{place or 'the value'}: {brief(one)} here, {brief(other)} rebuilt"


def in_tensors(here: Path, there: Path) -> str | None:
    """Describe the first tensor that differs, and the first element in it (of GGUF's blocks, the byte)."""
    (one, begin_here), (other, begin_there) = header(here, here.suffix), header(there, here.suffix)
    if found := in_values(one, other, ""):
        return f"header: {found}"
    tensors = sorted((entry["data_offsets"], name) for name, entry in one.items() if name != METADATA)
    with here.open("rb") as left, there.open("rb") as right:
        for (begin, end), name in tensors:
            left.seek(begin_here + begin)
            right.seek(begin_there + begin)
            bytes_here, bytes_there = left.read(end - begin), right.read(end - begin)
            if bytes_here != bytes_there:
                shape, dtype = one[name]["shape"], one[name]["dtype"]
                place = differing_byte(bytes_here, bytes_there)
                where = f"byte {place:,}"
                if here.suffix != ".gguf":
                    where = f"element {place * prod(shape) // (end - begin):,}"
                return f"tensor {name} ({dtype} {shape}): {where}"
    return None


def in_parquet(here: Path, there: Path) -> str | None:
    """Describe the first column that differs, and the first row in it."""
    import polars

    try:
        one, other = polars.read_parquet(here), polars.read_parquet(there)
    except polars.exceptions.PolarsError as error:
        raise ValueError(error) from None
    if one.schema != other.schema:
        return f"columns: {brief(dict(one.schema))} here, {brief(dict(other.schema))} rebuilt"
    if one.height != other.height:
        return f"{one.height:,} rows here, {other.height:,} rebuilt"
    for name in one.columns:
        rows = one[name].ne_missing(other[name]).arg_true()
        if len(rows):
            row = rows[0]
            return f"column {name}, row {row:,}: {brief(one[name][row])} here, {brief(other[name][row])} rebuilt"
    return "every value is equal; the files' layout or metadata differ"


def brief(value: object) -> str:
    """Format a value in at most 80 characters."""
    said = repr(value)
    return said if len(said) <= 80 else said[:79] + "…"


def diffoscope(here: Path, there: Path) -> str | None:
    """Return diffoscope's first LINES lines; None where it is not installed. Raises StemmaError if it fails."""
    program = shutil.which("diffoscope")
    if program is None:
        return None
    done = subprocess.run(
        [program, "--text", "-", str(here), str(there)], capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode not in (0, 1):
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise StemmaError(f"diffoscope failed on {here}: {said[-1]}; mend it, or take it off the path")
    lines = done.stdout.splitlines()
    return "\n".join(lines[:LINES] + [f"… {len(lines) - LINES} more lines"] * (len(lines) > LINES))
