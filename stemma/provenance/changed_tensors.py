"""Names the tensors in which a safetensors file differs from the stored original, by the files' bytes alone."""

import json
from collections.abc import Callable
from pathlib import Path

SUFFIX = ".safetensors"
LONGEST = 100 << 20  # bytes of a header, the format's own limit
SHOWN = 5
LONGEST_NAME = 200  # characters


def described(file: Path, original: Path) -> str:
    """Return the tensors of two files that differ, as the end of a sentence; "" where that cannot be told."""
    if file.suffix != SUFFIX or not original.is_file():
        return ""
    try:
        names = changed(file, original)
    except (ValueError, OSError, KeyError, TypeError):
        return ": its header is damaged"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    shown = [name[:LONGEST_NAME] for name in names[:SHOWN]]
    return f": {', '.join(shown)}{more}" if names else ""


def changed(file: Path, original: Path) -> list[str]:
    """Return the names of tensors that only one file has, or whose type, shape or bytes differ. Raises ValueError and
    its kin for a file that is no safetensors."""
    with file.open("rb") as one, original.open("rb") as other:
        (mine, begin), (theirs, their_begin) = header(one.read), header(other.read)
        found = []
        for name in sorted(mine.keys() | theirs.keys()):
            if name not in mine or name not in theirs:
                found.append(name)
                continue
            (a, b), (c, d) = mine[name]["data_offsets"], theirs[name]["data_offsets"]
            one.seek(begin + a)
            other.seek(their_begin + c)
            kind = [(each["dtype"], each["shape"]) for each in (mine[name], theirs[name])]
            if kind[0] != kind[1] or one.read(b - a) != other.read(d - c):
                found.append(name)
    return found


def header(read: Callable[[int], bytes]) -> tuple[dict, int]:
    """Return the tensors' entries and where their bytes begin."""
    size = int.from_bytes(read(8), "little")
    if size > LONGEST:
        raise ValueError(f"a header of {size} bytes")
    stated = json.loads(read(size))
    if not isinstance(stated, dict):
        raise ValueError("a header that is no object")
    return {name: entry for name, entry in stated.items() if name != "__metadata__"}, 8 + size
