"""Streamed text adds up to the whole text."""

import random

from llm.inference.detokenizer import Detokenizer, StopTexts
from llm.tokenize.load import Tokenizer


def test_streamed_equals_whole(tokenizer_files) -> None:
    """Words, spaces, control tokens, characters of several bytes and bytes that make none."""
    tokenizer = Tokenizer(tokenizer_files["model"])
    chance = random.Random(0)
    texts = ["  Héllo wörld  ", "日本語 and 🎉🎉", "a\n\n b", "tail "]
    cases = [tokenizer.encode(text) for text in texts]
    cases += [[chance.randrange(tokenizer.vocab_size) for _ in range(30)] for _ in range(200)]
    for ids in cases:
        stream = Detokenizer(tokenizer.decode)
        told = "".join([stream.add(token) for token in ids]) + stream.rest()
        assert told == tokenizer.decode(ids)


def test_bytes_that_make_no_character_hide_none_that_follow() -> None:
    """A token for each byte, as byte_bpe has at the least."""
    chance = random.Random(1)
    for _ in range(2000):
        ids = chance.choices("é€👍A".encode() * 2 + b"\xff", k=chance.randrange(60))
        stream = Detokenizer(lambda ids: bytes(ids).decode(errors="replace"))
        assert "".join(map(stream.add, ids)) + stream.rest() == bytes(ids).decode(errors="replace")


def test_a_stop_text_may_span_tokens() -> None:
    stops = StopTexts(lambda ids: "".join(chr(97 + i) for i in ids), ["cde"])
    assert [stops.add(token) for token in (0, 2, 3, 3, 2, 3, 4)] == [False] * 6 + [True]
