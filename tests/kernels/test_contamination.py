"""Words, n-grams and what is found of them equal a plain Python reading of the definition."""

import re

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import contamination as subject
from llm.io.utf8 import utf8

MASK = (1 << 64) - 1
BASE = int(subject.BASE)
# code points: ASCII letters and digits, U+00C0 to U+303F but for two blocks of punctuation; or one from U+3040 on
WORD = re.compile("[0-9A-Za-z\u00c0-\u1fff\u2080-\u2fff]+|[\u3040-\U0010ffff]")
ALPHABET = st.characters(exclude_categories=["Cs"]) | st.sampled_from(
    "aAb z_.-'\n\u00bf\u00c0é\u2019\u2080\u3001\u3040中😀"
)


def finalized(x: int) -> int:
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def polynomial(values: list[int]) -> int:
    h = 0
    for value in values:
        h = (h * BASE + value) & MASK
    return finalized(h)


def words_of(text: str) -> list[int]:
    lowered = re.sub("[A-Z]", lambda match: match[0].lower(), text)
    return [polynomial(list(word.encode())) for word in WORD.findall(lowered)]


def grams_of(text: str, n: int, least: int) -> list[int]:
    words = words_of(text)
    size = n if len(words) >= n else len(words)
    return [max(1, polynomial(words[i : i + size])) for i in range(len(words) - size + 1)] if size >= least else []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(ALPHABET, max_size=30), max_size=6))
def test_words(texts: list[str]) -> None:
    words, offsets = subject.word_hashes(*utf8(pl.Series(texts, dtype=pl.String)))
    found = [words[a:b].tolist() for a, b in zip(offsets, offsets[1:], strict=False)]
    assert found == [words_of(text) for text in texts]


SENTENCES = st.lists(st.sampled_from(["the cat", "Sat, on", "a mat.", "中文", "x"]), max_size=12).map(" ".join)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(SENTENCES, max_size=5), st.lists(SENTENCES, max_size=3), st.lists(SENTENCES, max_size=3), st.integers(1, 5)
)
def test_grams_that_a_set_holds(texts: list[str], first: list[str], second: list[str], n: int) -> None:
    least = max(1, n - 2)
    items = [*first, *second]
    words, offsets = subject.word_hashes(*utf8(pl.Series(items, dtype=pl.String)))
    hashes, lengths, owner = subject.gram_hashes(words, offsets, n, least)
    expected = [grams_of(item, n, least) for item in items]
    assert hashes.tolist() == [gram for own in expected for gram in own]
    assert owner.tolist() == [i for i, own in enumerate(expected) for _ in own]

    distinct, index = np.unique(hashes, return_index=True)
    sets = (owner[index] >= len(first)).astype(np.int64)
    hits = np.zeros((len(texts), 2), dtype=np.int32)
    seen = np.zeros(len(distinct), dtype=bool)
    words, offsets = subject.word_hashes(*utf8(pl.Series(texts, dtype=pl.String)))
    subject.find_grams(words, offsets, np.unique(lengths), *subject.gram_table(distinct), sets, hits, seen)

    of_set = [{gram for own in expected[: len(first)] for gram in own}]
    of_set.append({gram for own in expected[len(first) :] for gram in own} - of_set[0])
    met = set()
    for text, counted in zip(texts, hits.tolist(), strict=True):
        words_here = words_of(text)
        ends: list[set[int]] = [set(), set()]
        for size in set(lengths.tolist()):
            for i in range(len(words_here) - size + 1):
                gram = max(1, polynomial(words_here[i : i + size]))
                for which, own in enumerate(of_set):
                    if gram in own:
                        ends[which].add(i + size)
                        met.add(gram)
        assert counted == [len(found) for found in ends]
    assert set(distinct[seen].tolist()) == met


def test_a_table_of_many_grams_finds_each_and_no_other() -> None:
    keys = np.unique(np.random.Generator(np.random.PCG64(0)).integers(1, 1 << 63, 40_000, dtype=np.uint64))
    table, rows, bloom = subject.gram_table(keys[::2])
    slots = np.flatnonzero(table)
    assert np.array_equal(keys[::2][rows[slots]], table[slots])
    # documents of one word, whose 1-gram is what the table holds
    words = np.arange(1, 20_001, dtype=np.uint64)
    offsets = np.arange(len(words) + 1)
    grams, _, _ = subject.gram_hashes(words, offsets, 1, 1)
    assert len(np.unique(grams)) == len(words)
    hits, seen = np.zeros((len(words), 1), dtype=np.int32), np.zeros(len(words) // 2, dtype=bool)
    zeros = np.zeros(len(words) // 2, dtype=np.int64)
    subject.find_grams(words, offsets, np.array([1]), *subject.gram_table(grams[::2]), zeros, hits, seen)
    assert hits[:, 0].tolist() == [1, 0] * (len(words) // 2)
    assert seen.all()
