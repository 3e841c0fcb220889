"""The hash table finds what was put in and nothing else; scoring follows the back-off definition."""

import numpy as np
import pytest

from kernels.ngram import extended, find, log_probabilities, table

UNKNOWN, START, END = SPECIAL = np.array([1, 2, 3], np.uint64)
A, B, C = (np.uint64(x) for x in (0x1234567890ABCDEF, 0xFEDCBA0987654321, 0x0F0F0F0F0F0F0F0F))


def key(*gram: np.uint64) -> int:
    """Of an n-gram in the order of reading."""
    result = np.array([gram[-1]])
    for left in reversed(gram[:-1]):
        result = extended(result, np.array([left]))
    return int(result[0])


# log10 p and log10 back-off of every n-gram that is stored
MODEL = {
    (UNKNOWN,): (-5.0, 0.0), (START,): (-99.0, -0.5), (END,): (-1.0, 0.0), (A,): (-0.5, -0.25), (B,): (-0.75, -0.125),
    (START, A): (-0.125, -1.0), (A, B): (-0.25, -2.0), (A, A): (-0.375, 0.0), (START, A, B): (-0.0625, 0.0),
}  # fmt: skip


def slow(document: list, order: int) -> float:
    """The definition, word by word."""
    words = [START, *(w if (w,) in MODEL else UNKNOWN for w in document), END]
    total = 0.0
    for i in range(1, len(words)):
        context = tuple(words[max(0, i - order + 1) : i])
        while True:
            if (*context, words[i]) in MODEL:
                total += MODEL[(*context, words[i])][0]
                break
            total += MODEL.get(context, (0.0, 0.0))[1]
            context = context[1:]
    return total


@pytest.mark.parametrize("order", [1, 2, 3])
def test_scores_are_the_definition(order: int) -> None:
    stored = {gram: value for gram, value in MODEL.items() if len(gram) <= order}
    slots, values = table(
        np.array([key(*gram) for gram in stored], np.uint64), np.array(list(stored.values()), np.float32)
    )
    documents = [[], [A], [A, B], [A, B, A], [C, A, A, B], [B, B, C, C], [A, A, A, B, C, A, B]]
    words = np.array([word for document in documents for word in document], np.uint64)
    borders = np.cumsum([0, *map(len, documents)])
    sums, unknown = log_probabilities(words, borders, slots, values, order, SPECIAL)
    backup = dict(MODEL)
    for gram in [gram for gram in MODEL if len(gram) > order]:
        del MODEL[gram]
    try:
        assert sums.tolist() == [slow(document, order) for document in documents]
    finally:
        MODEL.update(backup)
    assert unknown.tolist() == [document.count(C) for document in documents]


def test_table_holds_exactly_its_keys() -> None:
    random = np.random.Generator(np.random.PCG64(0))
    keys = np.unique(random.integers(1, 1 << 63, 5000, dtype=np.uint64))
    keys[:100] = (np.arange(100, dtype=np.uint64) << np.uint64(40)) + np.uint64(7)  # all want one slot
    slots, values = table(keys, np.stack([np.arange(len(keys)), -np.arange(len(keys))], axis=1).astype(np.float32))
    for i, wanted in enumerate(keys):
        assert values[find(slots, wanted), 0] == i
    assert all(find(slots, wanted) == -1 for wanted in random.integers(1 << 63, 1 << 64, 1000, dtype=np.uint64))


def test_an_order_beyond_the_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="order 9"):
        log_probabilities(
            np.zeros(0, np.uint64), np.array([0]), *table(SPECIAL, np.zeros((3, 2), np.float32)), 9, SPECIAL
        )
