"""Names the tensors in which a file (safetensors, GGUF) differs from the stored original, by the files' bytes alone."""

import contextlib
from pathlib import Path

from stemma.provenance.tensor_files import METADATA, SUFFIXES, header

SHOWN = 5
LONGEST_NAME = 200  # characters


def described(file: Path, original: Path) -> str:
    """Return the tensors of two files that differ, as the end of a sentence; "" where that cannot be told."""
    if file.suffix not in SUFFIXES or not original.is_file():
        return ""
    with contextlib.suppress(OSError):
        if file.samefile(original):  # hard links, on a file system without reflinks: the store has no other bytes
            return ": in the store too, it is one file; `stemma rebuild` tells which tensor"
    try:
        names = changed(file, original)
    except (ValueError, OSError, KeyError, TypeError):
        return ": its header is damaged"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    shown = [name[:LONGEST_NAME] for name in names[:SHOWN]]
    return f": {', '.join(shown)}{more}" if names else ""


def changed(file: Path, original: Path) -> list[str]:
    """Return the names of tensors that only one file has, or whose type, shape or bytes differ. Raises ValueError and
    its kin for a file that is neither safetensors nor GGUF. The suffix of `file` says which they are."""
    (mine, begin), (theirs, their_begin) = header(file, file.suffix), header(original, file.suffix)
    found = []
    with file.open("rb") as one, original.open("rb") as other:
        for name in sorted((mine.keys() | theirs.keys()) - {METADATA}):
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
