import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from llm.io.utf8 import pieces, utf8


@given(st.lists(st.none() | st.text(max_size=30)))
def test_every_text_lies_between_its_offsets(texts: list[str | None]) -> None:
    data, offsets = utf8(pl.Series(texts, dtype=pl.String))
    assert (data.dtype, offsets.dtype, len(offsets)) == (np.uint8, np.int64, len(texts) + 1)
    raw = data.tobytes()
    assert [raw[a:b].decode() for a, b in zip(offsets, offsets[1:], strict=False)] == [text or "" for text in texts]
    assert offsets[-1] == len(raw)


def test_slices_and_chunks() -> None:
    texts = pl.concat([pl.Series(["a", "é" * 20]), pl.Series(["", "z"])], rechunk=False)
    data, offsets = utf8(texts[1:])
    assert data.tobytes().decode() == "é" * 20 + "z"
    assert offsets.tolist() == [0, 40, 40, 41]


@given(st.lists(st.none() | st.text(max_size=30)), st.integers(1, 40))
def test_pieces_are_all_of_it_and_small(texts: list[str | None], size: int) -> None:
    series = pl.Series(texts, dtype=pl.String)
    found = list(pieces(series, size))
    whole, offsets = utf8(series)
    assert b"".join(data.tobytes() for data, _ in found) == whole.tobytes()
    assert [n for _, own in found for n in np.diff(own).tolist()] == np.diff(offsets).tolist()
    assert all(len(data) <= size or len(own) == 2 for data, own in found)
