"""The n-gram baseline against a straightforward dictionary implementation, and as a probability distribution."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.errors import InputError
from llm.process.quality.kneser_ney import FALLBACK, discounts, train


def documents_of(seed: int, vocab_size: int, documents: int) -> list[np.ndarray]:
    """Skewed random ids, with an [EOS] (0) at each end; one document is nothing but its [EOS]."""
    random = np.random.Generator(np.random.PCG64(seed))
    sizes = [0, *random.integers(1, 40, documents - 1)]
    return [np.append(np.minimum(random.geometric(0.15, size), vocab_size - 1), 0).astype(np.uint16) for size in sizes]


class SlowKneserNey:
    """Chen & Goodman's recursion with dictionaries; START keeps raw counts, as in KenLM."""

    def __init__(self, documents: list[np.ndarray], order: int, vocab_size: int, least: tuple[int, ...] = ()):
        self.vocab_size = vocab_size
        raw: dict[int, Counter] = {n: Counter() for n in range(1, order + 1)}
        for document in documents:
            words = ["start", *map(int, document)]
            for i in range(1, len(words)):
                for n in range(1, min(order, i + 1) + 1):
                    raw[n][tuple(words[i - n + 1 : i + 1])] += 1
        self.counts = {order: raw[order]}
        for n in range(order - 1, 0, -1):
            adjusted = Counter(gram[1:] for gram in raw[n + 1])
            adjusted.update({gram: count for gram, count in raw[n].items() if gram[0] == "start"})
            self.counts[n] = adjusted
        self.discounts = {n: (0.0, *discounts(np.array(list(c.values())))) for n, c in self.counts.items()}
        # what is pruned keeps its place in the totals, its mass is freed
        few = {n: number for n, number in enumerate(least, start=1) if n > 1}
        self.pruned = {gram for n, number in few.items() for gram, count in raw[n].items() if count < number}
        self.followers: dict[int, dict] = {n: defaultdict(dict) for n in self.counts}
        for n, counter in self.counts.items():
            for gram, count in counter.items():
                self.followers[n][gram[:-1]][gram[-1]] = count

    def probability(self, context: tuple, word: int) -> float:
        lower = self.probability(context[1:], word) if context else 1 / self.vocab_size
        n = len(context) + 1
        counts = self.followers[n].get(context)
        if not counts:
            return lower
        discount = self.discounts[n]
        total = sum(counts.values())
        count = counts.get(word, 0)
        pruned = {w for w in counts if (*context, w) in self.pruned}
        freed = sum(c if w in pruned else discount[min(c, 3)] for w, c in counts.items())
        share = 0.0 if word in pruned else (count - discount[min(count, 3)]) / total
        return share + freed / total * lower

    def bits(self, documents: list[np.ndarray], order: int) -> float:
        total = 0.0
        for document in documents:
            words = ["start", *map(int, document)]
            for i in range(1, len(words)):
                total -= math.log2(self.probability(tuple(words[max(0, i - order + 1) : i]), words[i]))
        return total


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize(("seed", "vocab_size", "documents"), [(0, 50, 60), (1, 8, 3), (2, 300, 40)])
def test_equals_the_dictionary_implementation(order: int, seed: int, vocab_size: int, documents: int) -> None:
    train_documents = documents_of(seed, vocab_size, documents)
    validation = documents_of(seed + 100, vocab_size, 20)
    fast = train(train_documents, order, vocab_size).bits(validation)
    assert fast == pytest.approx(SlowKneserNey(train_documents, order, vocab_size).bits(validation, order), rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(5, 60), st.integers(1, 80), st.booleans())
def test_probabilities_sum_to_one(seed: int, order: int, vocab_size: int, documents: int, prune: bool) -> None:
    least = (1, 1, 2, 2, 3) if prune else ()
    model = train(documents_of(seed, vocab_size, documents), order, vocab_size, least)
    random = np.random.Generator(np.random.PCG64(seed))
    for known in range(1, order + 1):
        # Contexts that were seen, that were not, and the document's beginning (id vocab_size).
        context = random.integers(0, vocab_size + 1, order)
        grams = np.tile(context, (vocab_size, 1))
        grams[:, -1] = np.arange(vocab_size)
        p = model.probability(grams, np.full(vocab_size, known))
        assert p.min() > 0
        assert p.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("least", [(1, 1, 2, 2), (1, 2, 2, 3)])
def test_pruning_equals_the_dictionary_implementation(least: tuple[int, ...]) -> None:
    documents, validation = documents_of(5, 40, 80), documents_of(6, 40, 20)
    pruned, slow = train(documents, 4, 40, least), SlowKneserNey(documents, 4, 40, least)
    assert pruned.bits(validation) == pytest.approx(slow.bits(validation, 4), rel=1e-9)
    assert pruned.bits(validation) != pytest.approx(train(documents, 4, 40).bits(validation), rel=1e-6)
    assert len(pruned.levels[3].keys) < len(train(documents, 4, 40).levels[3].keys)


def test_a_longer_context_helps_on_text_that_has_structure() -> None:
    sentence = np.array([5, 6, 5, 7, 5, 8, 9, 5, 6, 0], np.uint16)
    bits = [train([sentence] * 30, order, 20).bits([sentence]) for order in (1, 2, 3)]
    assert bits[0] > bits[1] > bits[2]


def test_documents_are_independent() -> None:
    model = train(documents_of(3, 30, 50), 3, 30)
    a, b = documents_of(4, 30, 3)[1:]
    assert model.bits([a, b]) == pytest.approx(model.bits([a]) + model.bits([b]))
    assert model.bits([a, b]) == pytest.approx(model.bits([b, a]))


def test_discounts() -> None:
    # n1 = 4, n2 = 2, n3 = 1, n4 = 1: Y = 4 / 8
    counts = np.array([1, 1, 1, 1, 2, 2, 3, 4, 9])
    assert discounts(counts) == pytest.approx((1 - 2 * 0.5 * 2 / 4, 2 - 3 * 0.5 * 1 / 2, 3 - 4 * 0.5 * 1 / 1))
    assert discounts(np.array([5, 6])) == FALLBACK
    assert discounts(np.array([1] * 10 + [2] + [3] * 5)) == FALLBACK, "a negative discount"


def test_bad_input() -> None:
    with pytest.raises(InputError, match="no tokens"):
        train([], 3, 100)
    with pytest.raises(InputError, match="outside the tokenizer's 100 ids"):
        train([np.array([100, 0])], 2, 100)
    with pytest.raises(InputError, match="2097150"):
        train([np.array([1])], 2, 1 << 21)
