"""Text to ids and back."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.errors import InputError
from llm.tokenize.load import CONTROLS, Tokenizer, parts, well_formed
from llm.tokenize.train import train
from tests.llm.tokenize.texts import ADVERSARIAL, arbitrary


def assert_round_trip(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert all(len(CONTROLS) <= i < tokenizer.vocab_size for i in ids), "text became a control id"
    assert tokenizer.decode(ids) == text


@settings(max_examples=400, deadline=None)
@given(text=arbitrary)
def test_round_trip(tokenizer: Tokenizer, text: str) -> None:
    assert_round_trip(tokenizer, text)


def test_round_trip_of_adversarial_strings(tokenizer: Tokenizer) -> None:
    for text in ADVERSARIAL:
        assert_round_trip(tokenizer, text)


def test_round_trip_of_documents(tokenizer: Tokenizer, corpus: list[str]) -> None:
    for text in corpus:
        assert_round_trip(tokenizer, text)


@settings(max_examples=300, deadline=None)
@given(text=arbitrary, size=st.integers(1, 12))
def test_parts_have_the_ids_of_the_whole(tokenizer: Tokenizer, text: str, size: int) -> None:
    cut = parts(text, size)
    assert "".join(cut) == text
    assert [i for part in cut for i in tokenizer.processor.encode(part)] == tokenizer.processor.encode(text)


def test_long_documents_are_cut_without_a_difference(tokenizer: Tokenizer, corpus: list[str]) -> None:
    text = " ".join(corpus) * 3
    assert len(parts(text)) > 5
    assert tokenizer.encode(text) == tokenizer.processor.encode(text)


def test_a_long_line_without_any_boundary(tokenizer: Tokenizer) -> None:
    assert_round_trip(tokenizer, "日本語" * 100_000)


def test_batches_do_not_depend_on_threads(tokenizer: Tokenizer, corpus: list[str]) -> None:
    texts = corpus + ADVERSARIAL
    one = [tokenizer.encode(text) for text in texts]
    for threads in (0, 1, 2, 5):
        assert tokenizer.encode_batch(texts, threads) == one
        arrays = tokenizer.encode_arrays(texts, threads)
        assert all(array.dtype == np.int32 and array.tolist() == ids for array, ids in zip(arrays, one, strict=True))
    assert tokenizer.encode_batch([], 2) == []
    assert all(isinstance(i, int) for i in one[0])


def test_surrogates(tokenizer: Tokenizer) -> None:
    assert well_formed("a\ud800b") == "a\ufffdb"
    assert well_formed("\ud83d\ude00") == "😀"
    assert tokenizer.decode(tokenizer.encode("a\udfffb\ud800")) == "a\ufffdb\ufffd"


def test_decode_skips_controls_and_bears_broken_bytes(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("hello")
    assert tokenizer.decode([tokenizer.bos, tokenizer.user, *ids, tokenizer.eos]) == "hello"
    assert tokenizer.decode(np.array(ids, np.uint16)) == "hello"
    assert "\ufffd" in tokenizer.decode([8 + 0xF0, *ids])
    assert tokenizer.decode([]) == ""


def test_control_ids(tokenizer: Tokenizer) -> None:
    found = (tokenizer.unk, tokenizer.bos, tokenizer.eos, tokenizer.pad, tokenizer.mask)
    assert found + (tokenizer.system, tokenizer.user, tokenizer.assistant) == tuple(range(8))


@pytest.mark.parametrize("content", [None, b"", b"not a model"])
def test_what_is_no_model(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="tokenizer.model"):
        Tokenizer(path)


@pytest.mark.parametrize("piece", [b"[MASK]", b"the"])
def test_a_piece_that_is_not_utf8(piece: bytes, tmp_path: Path) -> None:
    """Whether it is a control token or was learned: where it was met, a traceback ended the job."""
    path = tmp_path / "tokenizer.model"
    model = train(pl.Series(["the other then"] * 40), vocab_size=280, character_coverage=1.0, model_type="bpe")
    assert piece in model
    path.write_bytes(model.replace(piece, b"\xff" * len(piece)))
    with pytest.raises(
        InputError, match=r"tokenizer.model: not a tokenizer model; build it again \(piece [0-9]+ is not"
    ):
        Tokenizer(path)
