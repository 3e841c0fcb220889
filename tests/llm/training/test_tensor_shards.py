"""Tensors cut into pieces in any way, written to any files: every rectangle reads back, and what is missing is said."""

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm.errors import InputError
from llm.training.engine import Piece
from llm.training.tensor_shards import Entry, PieceReader, join, open_pieces, write_pieces


def cuts(draw, size: int) -> list[tuple[int, int]]:
    """A partition of range(size) into intervals."""
    inner = sorted(draw(st.sets(st.integers(1, size - 1), max_size=3))) if size > 1 else []
    return list(zip([0, *inner], [*inner, size], strict=True))


@st.composite
def layouts(draw) -> tuple[torch.Tensor, list[tuple[int, Piece]], tuple[slice, ...]]:
    """A tensor, its pieces each with a rank, and a rectangle of it; a rank may have nothing of it, and want nothing."""
    rows, columns = draw(st.integers(1, 9)), draw(st.integers(1, 7))
    whole = torch.arange(rows * columns).view(rows, columns).float()
    pieces = []
    for top, bottom in cuts(draw, rows):
        for left, right in cuts(draw, columns):
            part = whole[top:bottom, left:right].contiguous()
            pieces.append((draw(st.integers(0, 2)), Piece("w", (rows, columns), (top, left), part)))
    if draw(st.booleans()):
        pieces.insert(draw(st.integers(0, 1)), (2, Piece("w", (rows, columns), (rows, 0), whole[rows:])))
    where = []
    for size in (rows, columns):
        begin = draw(st.integers(0, size))
        where.append(slice(begin, draw(st.integers(begin, size))))
    return whole, pieces, tuple(where[: draw(st.integers(0, 2))])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layouts())
def test_any_rectangle_of_any_layout(tmp_path: Path, layout) -> None:
    whole, pieces, where = layout
    ranks = sorted({rank for rank, _ in pieces})
    parts = [
        write_pieces(tmp_path / f"{rank}.safetensors", [piece for owner, piece in pieces if owner == rank])
        for rank in ranks
    ]
    index = {name: Entry.from_json(entry.to_json()) for name, entry in join(parts).items()}
    reader = PieceReader(tmp_path, index)
    assert torch.equal(reader("w", where), whole[where])
    assert torch.equal(reader.all()["w"], whole)
    assert reader("v") is None
    if sum(len(piece.tensor) > 0 for _, piece in pieces) > 1:
        index["w"].pieces.remove(next(piece for piece in index["w"].pieces if piece[-1][0]))
        with pytest.raises(InputError, match="pieces of w are missing"):
            reader("w")


def test_scalars_and_plain_files(tmp_path: Path) -> None:
    tensors = {"step": torch.tensor(7.0), "w": torch.ones(2, 3)}
    pieces = [Piece(name, tuple(value.shape), (0,) * value.ndim, value) for name, value in tensors.items()]
    write_pieces(tmp_path / "model.safetensors", pieces)
    reader = open_pieces(tmp_path, "model")
    assert reader("step").item() == 7
    assert torch.equal(reader("w", (slice(1, 2),)), torch.ones(1, 3))
    (tmp_path / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(InputError, match="model.safetensors cannot be read"):
        open_pieces(tmp_path, "model")
    with pytest.raises(InputError, match="optimizer.safetensors is missing"):
        open_pieces(tmp_path, "optimizer")
