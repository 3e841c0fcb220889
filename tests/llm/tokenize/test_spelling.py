"""Single tokens as bytes and as text: joined, the bytes are the text's, whoever made the tokenizer."""

import pytest

from llm.tokenize.byte_level import fast_bytes, to_model
from llm.tokenize.escape import MARK, escaped
from llm.tokenize.export import write_tokenizer_config
from llm.tokenize.hub import HubTokenizer
from llm.tokenize.load import CONTROLS, Tokenizer
from llm.tokenize.open import AnyTokenizer
from llm.tokenize.spelling import Spelling, piece_bytes
from llm.tokenize.train_byte_level import train_bytes

TEXTS = ["hello there", "  two\n\n spaces ", "h\u00e9llo \u65e5\u672c \U0001f600", '{"a": [1, 2]}']


@pytest.fixture(params=["own", "own, of bytes", "hub", "hub, of bytes"])
def tokenizer(request, tokenizer_files, tmp_path) -> AnyTokenizer:
    match request.param:
        case "own":
            return Tokenizer(tokenizer_files["model"])
        case "hub":
            return HubTokenizer(tokenizer_files["tokenizer"].parent)
    pieces = train_bytes(TEXTS * 20, vocab_size=300, first_id=len(CONTROLS), at_most=True)
    if request.param == "own, of bytes":
        (tmp_path / "tokenizer.model").write_bytes(to_model(pieces, len(CONTROLS)))
        return Tokenizer(tmp_path / "tokenizer.model")
    fast = fast_bytes(pieces, CONTROLS)
    fast.add_special_tokens(list(CONTROLS))
    fast.save(str(tmp_path / "tokenizer.json"))
    write_tokenizer_config(tmp_path / "tokenizer_config.json")
    return HubTokenizer(tmp_path)


@pytest.mark.parametrize("text", TEXTS)
def test_bytes_of_tokens_add_up_to_the_text(tokenizer, text: str) -> None:
    spelling, ids = Spelling(tokenizer), tokenizer.encode(text)
    assert b"".join(map(spelling.raw, ids)).decode() == tokenizer.decode(ids) == text


def test_a_token_as_text(tokenizer) -> None:
    """Parts of a character are spelled out, control tokens have their names."""
    spelling = Spelling(tokenizer)
    shown = [spelling.text(token) for token in tokenizer.encode("\U0001f601")]
    assert [text for text in shown if text.strip()] == ["bytes:\\xf0", "bytes:\\x9f", "bytes:\\x98", "bytes:\\x81"]
    assert (
        spelling.text(tokenizer.eos) == CONTROLS[tokenizer.eos]
        and spelling.raw(tokenizer.eos) == CONTROLS[tokenizer.eos].encode()
    )


def test_sentencepiece_s_escapes_are_undone() -> None:
    assert piece_bytes(escaped("\u2581")).decode() == "\u2581"
    assert piece_bytes(MARK) == b"", "half of an escape is no text"
