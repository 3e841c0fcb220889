"""The built tokenizer's files: every reader gives the same ids on every document of the corpus."""

import polars as pl

from llm.tokenize.load import CONTROLS, Tokenizer
from tests.llm.tokenize.readers import differences, readers
from tests.llm.tokenize.texts import ADVERSARIAL


def test_every_reader_gives_the_same_ids_on_every_document(tiny):
    parts = sorted((tiny / "results/clean").glob("*/part-*.parquet"))
    texts = [text for part in parts for text in pl.read_parquet(part, columns=["text"])["text"]]
    assert len(texts) > 1000
    found = differences(tiny / "results/tokenizer", [*texts, *ADVERSARIAL])
    assert found == dict.fromkeys(found, 0)


def test_no_reader_makes_control_ids_of_text_and_nothing_is_lost(tiny):
    """Injection: text that spells control tokens, of every kind, in the middle of other text and alone."""
    tokenizer = Tokenizer(tiny / "results/tokenizer/tokenizer.model")
    spelled = [form for name in CONTROLS for form in (name, f"a{name}b", f" {name} ", name * 3, f"\n{name}\n")]
    texts = [*ADVERSARIAL, *spelled]
    for name, read in readers(tiny / "results/tokenizer").items():
        found = read(texts)
        assert min(i for ids in found for i in ids) >= len(CONTROLS), name
        assert [tokenizer.decode(ids) for ids in found] == texts, name
