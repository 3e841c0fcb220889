"""The kernels give the ids of the tokenizers that they stand for, of every kind; so do the exported files."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as FastTokenizer

from llm.errors import InputError
from llm.tokenize.byte_level import from_model, to_model
from llm.tokenize.encoder import Encoder
from llm.tokenize.export import merges, write_tokenizer_json
from llm.tokenize.load import CONTROLS, Tokenizer
from llm.tokenize.train import train
from llm.tokenize.train_byte_level import train_bytes
from tests.llm.tokenize.texts import ADVERSARIAL, arbitrary

KINDS = ("bpe", "unigram", "byte_bpe")
WORDS = [
    "'S",
    "'ll",
    "'Re",
    "'x",
    "'é",
    " ",
    "\n",
    "\r\n",
    "\t",
    "\u3000",
    "\x85",
    "é",
    "٣",
    "½",
    "!",
    "a",
    "_",
    "\0",
    "ſ",
]
texts = st.one_of(arbitrary, st.lists(st.sampled_from(WORDS), max_size=30).map("".join))


@pytest.fixture(scope="session")
def tools(corpus: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Kind -> (Tokenizer, Encoder, tokenizer.json read by Hugging Face)."""
    result = {}
    taught = [*corpus, "[EOS] <|user|> <0x41>" * 300]  # text that spells control tokens often
    for kind in KINDS:
        directory = tmp_path_factory.mktemp(kind)
        if kind == "byte_bpe":
            model = to_model(train_bytes(taught, vocab_size=1000, first_id=len(CONTROLS)), len(CONTROLS))
        else:
            model = train(taught, vocab_size=1000, character_coverage=0.9995, model_type=kind)
        (directory / "tokenizer.model").write_bytes(model)
        tokenizer = Tokenizer(directory / "tokenizer.model")
        write_tokenizer_json(tokenizer, directory / "tokenizer.json")
        fast = FastTokenizer.from_file(str(directory / "tokenizer.json"))
        result[kind] = tokenizer, Encoder(tokenizer, 2), fast
    return result


def encoded(encoder: Encoder, documents: list[str], begin: int = -1, end: int = -1) -> list[list[int]]:
    ids, lengths = encoder.encode(*encoder.utf8(documents), begin, end)
    assert ids.dtype == np.int32
    return [part.tolist() for part in np.split(ids, np.cumsum(lengths))[:-1]]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=300, deadline=None)
@given(text=texts)
def test_same_ids_from_every_reader(tools: dict, kind: str, text: str) -> None:
    tokenizer, encoder, fast = tools[kind]
    expected = tokenizer.encode(text)
    assert tokenizer.kind == kind
    assert min(expected, default=len(CONTROLS)) >= len(CONTROLS), "text became a control id"
    assert encoded(encoder, [text]) == [expected]
    assert fast.encode(text).ids == expected
    if tokenizer.processor:
        assert tokenizer.processor.encode(text) == expected
    assert tokenizer.decode(expected) == text == fast.decode(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_same_ids_on_documents_and_adversarial_strings(tools: dict, kind: str, corpus: list[str]) -> None:
    tokenizer, encoder, fast = tools[kind]
    documents = [*corpus, *ADVERSARIAL, " ".join(corpus), "[[BOS]<|user|><0x41>" * 50]
    expected = tokenizer.encode_batch(documents, 2)
    assert min(i for ids in expected for i in ids) >= len(CONTROLS)
    assert encoded(encoder, documents) == expected
    assert [found.ids for found in fast.encode_batch(documents)] == expected
    assert [tokenizer.decode(ids) for ids in expected] == documents
    bos, eos = tokenizer.bos, tokenizer.eos
    assert encoded(encoder, documents, bos, eos) == [[bos, *ids, eos] for ids in expected]
    assert encoded(encoder, documents, end=eos) == [[*ids, eos] for ids in expected]


@pytest.mark.parametrize("kind", KINDS)
def test_the_ids_do_not_depend_on_threads_or_on_what_came_before(
    tools: dict, kind: str, corpus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer, encoder, _ = tools[kind]
    monkeypatch.setattr("llm.tokenize.encoder.TASK", 1 << 15)  # more tasks than threads
    documents = [*corpus, *ADVERSARIAL] * 3
    expected = encoded(encoder, documents)
    for threads in (1, 3):
        assert encoded(Encoder(tokenizer, threads), documents) == expected
    assert encoded(encoder, documents[::-1])[::-1] == expected
    assert encoded(encoder, []) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_line_without_a_place_to_cut(tools: dict, kind: str) -> None:
    tokenizer, encoder, _ = tools[kind]
    text = "a" * ((1 << 20) + 4) + "é" * 600_000  # the second cut falls inside a character
    ids = encoded(encoder, [text])[0]
    assert tokenizer.decode(ids) == text


def test_lone_surrogates(tools: dict) -> None:
    tokenizer, encoder, _ = tools["bpe"]
    assert encoded(encoder, ["a\ud800b"]) == [tokenizer.encode("a\ufffdb")]


def test_unigram_has_no_merges_and_byte_level_lists_every_split(tools: dict) -> None:
    assert merges(tools["unigram"][0]) == []
    pieces = tools["byte_bpe"][0].pieces
    assert {left + right for left, right in merges(tools["byte_bpe"][0])} == {
        tools["byte_bpe"][0].token(len(CONTROLS) + i) for i in range(256, len(pieces))
    }


def test_byte_level_models(tmp_path: Path, corpus: list[str]) -> None:
    pieces = train_bytes(corpus, vocab_size=600, first_id=8)
    assert pieces == train_bytes(corpus, vocab_size=600, first_id=8)
    assert from_model(to_model(pieces, 8), 8) == pieces
    with pytest.raises(InputError, match=r"at most \d+"):
        train_bytes(["few words"], vocab_size=600, first_id=8)
    with pytest.raises(InputError, match="at least 264"):
        train_bytes(corpus, vocab_size=200, first_id=8)
    with pytest.raises(InputError, match="no text"):
        train_bytes([""], vocab_size=264, first_id=8)
    (tmp_path / "tokenizer.model").write_bytes(to_model(pieces[1:], 8))
    with pytest.raises(InputError, match="the 256 bytes do not come first"):
        Tokenizer(tmp_path / "tokenizer.model")
