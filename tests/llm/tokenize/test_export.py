"""The exported files give the ids that SentencePiece gives, for any text."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from tokenizers import Tokenizer as FastTokenizer

from llm.tokenize.export import merges, vocabulary, write_tokenizer_json, write_vocab
from llm.tokenize.load import CONTROLS, Tokenizer
from tests.llm.tokenize import readers
from tests.llm.tokenize.texts import ADVERSARIAL, arbitrary


@pytest.fixture(scope="session")
def fast(directory: Path) -> FastTokenizer:
    return FastTokenizer.from_file(str(directory / "tokenizer.json"))


@pytest.fixture(scope="session")
def from_text_files(directory: Path) -> FastTokenizer:
    return readers.from_text_files(directory)


@settings(max_examples=600, deadline=None)
@given(text=arbitrary)
def test_same_ids(tokenizer: Tokenizer, fast: FastTokenizer, from_text_files: FastTokenizer, text: str) -> None:
    expected = tokenizer.encode(text)
    assert fast.encode(text).ids == expected
    assert from_text_files.encode(text).ids == expected
    assert fast.decode(expected, skip_special_tokens=False) == tokenizer.decode(expected)


def test_same_ids_on_documents_and_adversarial_strings(
    tokenizer: Tokenizer, fast: FastTokenizer, from_text_files: FastTokenizer, corpus: list[str]
) -> None:
    for text in corpus + ADVERSARIAL:
        expected = tokenizer.encode(text)
        assert fast.encode(text).ids == expected, text[:60]
        assert from_text_files.encode(text).ids == expected, text[:60]


@pytest.mark.parametrize("control", CONTROLS)
def test_control_text_never_becomes_a_control_id(fast: FastTokenizer, control: str) -> None:
    for text in (control, f"a{control}b", f" {control} ", control * 3, f"{control}\n"):
        assert min(fast.encode(text).ids) >= len(CONTROLS)


def test_vocabulary_has_every_id_once(directory: Path, tokenizer: Tokenizer) -> None:
    vocab = json.loads((directory / "vocab.json").read_text(encoding="utf-8"))
    assert list(vocab.values()) == list(range(tokenizer.vocab_size))
    assert vocab == vocabulary(tokenizer)
    assert [vocab[token] for token in CONTROLS] == list(range(8))


def test_merges_make_every_learned_piece_of_more_than_one_character(tokenizer: Tokenizer) -> None:
    made = {left + right for left, right in merges(tokenizer)}
    learned = {tokenizer.token(i) for i in range(264, tokenizer.vocab_size)}
    assert made == {piece for piece in learned if len(piece) > 1}


def test_files_are_stable(directory: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    write_vocab(tokenizer, tmp_path / "vocab.json")
    write_tokenizer_json(tokenizer, tmp_path / "tokenizer.json")
    for name in ("vocab.json", "tokenizer.json"):
        assert (tmp_path / name).read_bytes() == (directory / name).read_bytes()
