"""Stores tensors in pieces: each rank writes its pieces into one safetensors file, and an index says what is where.

A reader assembles any tensor, or any rectangular part of one, from the pieces of whatever layout wrote them, and reads
no more than that. A single file of whole tensors needs no index: it is plain safetensors.
"""

import errno
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from llm.errors import InputError
from llm.training.engine import Piece


@dataclass
class Entry:
    """One tensor of the whole state. `pieces`: (file, key in the file, offset in the tensor, shape) of each."""

    shape: tuple[int, ...]
    pieces: list[tuple[str, str, tuple[int, ...], tuple[int, ...]]] = field(default_factory=list)

    def to_json(self) -> dict:
        keys = ("file", "key", "offset", "shape")
        return {"shape": self.shape, "pieces": [dict(zip(keys, piece, strict=True)) for piece in self.pieces]}

    @classmethod
    def from_json(cls, value: dict) -> "Entry":
        pieces = [(p["file"], p["key"], tuple(p["offset"]), tuple(p["shape"])) for p in value["pieces"]]
        return cls(tuple(value["shape"]), pieces)


def write_pieces(path: Path, pieces: list[Piece]) -> dict[str, Entry]:
    """Write one rank's pieces; return its part of the index. Raises OSError if the file cannot be written."""
    tensors: dict[str, torch.Tensor] = {}
    entries: dict[str, Entry] = {}
    for piece in pieces:
        entry = entries.setdefault(piece.name, Entry(piece.shape))
        key = piece.name if not entry.pieces else f"{piece.name}#{len(entry.pieces)}"
        tensors[key] = piece.tensor
        entry.pieces.append((path.name, key, piece.offset, tuple(piece.tensor.shape)))
    try:
        save_file(tensors, path, metadata={"format": "pt"})
    except SafetensorError as error:  # safetensors wraps the file system's error
        number = re.search(r"os error (\d+)", str(error))
        raise OSError(int(number[1]) if number else errno.EIO, str(error), str(path)) from error
    return entries


def join(parts: Iterable[dict[str, Entry]]) -> dict[str, Entry]:
    """Merge the indices of all ranks' pieces, sorted by name."""
    joined: dict[str, Entry] = {}
    for part in parts:
        for name, entry in part.items():
            joined.setdefault(name, Entry(entry.shape)).pieces.extend(entry.pieces)
    return {name: joined[name] for name in sorted(joined)}


class PieceReader:
    """The Read of llm/training/engine.py over indexed files in `directory`. Raises InputError for a missing or damaged
    one."""

    def __init__(self, directory: Path, entries: dict[str, Entry]) -> None:
        self.directory, self.entries = directory, entries
        self.files: dict = {}

    @classmethod
    def of_file(cls, path: Path) -> "PieceReader":
        """Make a reader of one file of whole tensors."""
        reader = cls(path.parent, {})
        file = reader.open(path.name)
        for name in file.keys():  # noqa: SIM118
            shape = tuple(file.get_slice(name).get_shape())
            reader.entries[name] = Entry(shape, [(path.name, name, (0,) * len(shape), shape)])
        return reader

    def __call__(self, name: str, where: tuple[slice, ...] | None = None) -> torch.Tensor | None:
        """Return the tensor, or the part of it that `where` cuts out (slices without a step); None if there is none."""
        entry = self.entries.get(name)
        if entry is None:
            return None
        cut = (*(where or ()), *[slice(None)] * (len(entry.shape) - len(where or ())))
        bounds = [part.indices(size)[:2] for part, size in zip(cut, entry.shape, strict=True)]
        shape = [max(0, end - begin) for begin, end in bounds]
        result = None
        filled = 0
        if 0 in shape:  # of a rank for which nothing is left: a tensor has fewer rows than there are ranks
            file, key, *_ = entry.pieces[0]
            return self.read(file, key, ()).new_empty(shape)
        for file, key, offset, size in entry.pieces:
            # `shared`: the part that this piece and the wanted part have in common, in coordinates of the whole tensor.
            shared = [
                (max(begin, at), min(end, at + length))
                for (begin, end), at, length in zip(bounds, offset, size, strict=True)
            ]
            if any(first >= last for first, last in shared):
                continue
            part = self.read(file, key, moved(shared, offset))
            if list(part.shape) == shape:
                return part
            if result is None:
                result = torch.empty(shape, dtype=part.dtype)
            result[moved(shared, [begin for begin, _ in bounds])] = part
            filled += part.numel()
        if result is None or filled != result.numel():
            raise InputError(f"{self.directory}: pieces of {name} are missing; build the checkpoint again")
        return result

    def read(self, file: str, key: str, within: tuple[slice, ...]) -> torch.Tensor:
        try:
            opened = self.open(file)
            return opened.get_slice(key)[within] if within else opened.get_tensor(key)
        except SafetensorError as error:
            raise damaged(self.directory / file, error) from error

    def open(self, file: str):  # noqa: ANN201
        """Return a file's handle: memory-mapped, its header checked, kept open."""
        if file not in self.files:
            path = self.directory / file
            try:
                self.files[file] = safe_open(path, framework="pt")
            except FileNotFoundError as error:
                raise InputError(f"{path} is missing; build the checkpoint again") from error
            except SafetensorError as error:
                raise damaged(path, error) from error
        return self.files[file]

    def all(self) -> dict[str, torch.Tensor]:
        """Return every tensor, whole."""
        return {name: tensor for name in self.entries if (tensor := self(name)) is not None}


def moved(bounds: list[tuple[int, int]], origin: Sequence[int]) -> tuple[slice, ...]:
    """Convert a rectangle of the whole tensor to coordinates of a part that begins at `origin`."""
    return tuple(slice(first - at, last - at) for (first, last), at in zip(bounds, origin, strict=True))


def damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} cannot be read as safetensors ({error}); build it again")


def open_pieces(directory: Path, stem: str) -> PieceReader:
    """Return the reader of `<stem>.index.json` and its files, or of `<stem>.safetensors` if there is no index."""
    path = directory / f"{stem}.index.json"
    if not path.exists():
        return PieceReader.of_file(directory / f"{stem}.safetensors")
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON ({error}); build the checkpoint again") from error
    return PieceReader(directory, {name: Entry.from_json(value) for name, value in index.items()})
