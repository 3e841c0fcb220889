"""Interpolated modified Kneser-Ney n-gram models over ids: the baseline that a trained network must beat, and the model
behind documents' perplexity. Counts are integers; everything is vectorised numpy on arrays in memory.

Documents are independent. START stands before each as a context and is never predicted; [EOS] is predicted like any
id. As in KenLM, n-grams that begin with START keep their raw counts at every order: nothing can precede START.

Source: Chen & Goodman, An Empirical Study of Smoothing Techniques for Language Modeling (TR-10-98), equations 13 to 17;
pruning as in Heafield et al. 2013, Scalable Modified Kneser-Ney Language Model Estimation, 3.1: by raw count, discounts
from all counts, the mass of what is dropped goes to the back-off.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llm.errors import InputError

BITS = 21  # bits of one id in a key; the rest is a place in the level below
FALLBACK = (0.5, 1.0, 1.5)  # KenLM's discounts where the counts of counts define none


@dataclass(frozen=True)
class Level:
    """The n-grams of one order. A key packs the place of the n-gram without its first id in the level below, and the
    first id: place << BITS | id. Level 1 holds every id and START, each at its own place."""

    keys: np.ndarray  # uint64 [n], sorted
    p: np.ndarray  # float64 [n]: p(last id | the ids before it), all lower orders in it
    backoff: np.ndarray  # float64 [n]: the mass that contexts give to shorter ones; 1 where nothing followed


@dataclass(frozen=True)
class KneserNey:
    """A model of p(word | up to order - 1 ids before it) over ids 0 ... vocab_size - 1. START is id vocab_size."""

    vocab_size: int
    levels: tuple[Level, ...]  # order 1 first

    def probability(self, grams: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
        """Return p(last id | ids before it) for each row.

        grams: int (N, order), the word last. known: int (N,), how many ids of the row count, from the right (default:
        all), since a document's first word has only START before it. Returns float64 (N,).
        """
        order = len(self.levels)
        known = np.full(len(grams), order) if known is None else known
        gram = grams[:, -1].astype(np.int64)
        context = grams[:, -2].astype(np.int64) if order > 1 else gram
        result = self.levels[0].p[gram]
        for n in range(2, order + 1):
            level, below = self.levels[n - 1], self.levels[n - 2]
            inside = known >= n
            gram = places(level.keys, gram, grams[:, -n], inside)
            backoff = np.where(inside, values_at(below.backoff, context), 1.0)
            result = np.where(gram >= 0, values_at(level.p, gram), backoff * result)
            if n < order:
                context = places(level.keys, context, grams[:, -n - 1], known > n)
        return result

    def bits(self, documents: Sequence[np.ndarray]) -> float:
        """Return the sum over all tokens of -log2 p; each document begins anew."""
        grams, known = events(documents, len(self.levels), self.vocab_size)
        return float(-np.log2(self.probability(grams, known)).sum())


@dataclass(frozen=True)
class Counted:
    """One order's n-grams as counted: keys as in Level, raw counts, and the place of all but the last id, one lower."""

    keys: np.ndarray  # uint64 [n]
    raw: np.ndarray  # int64 [n]
    prefix: np.ndarray  # int64 [n]


def train(documents: Sequence[np.ndarray], order: int, vocab_size: int, least: Sequence[int] = ()) -> KneserNey:
    """Count n-grams of `documents` (id arrays, [EOS] included) and smooth them.

    least: for each order how often an n-gram must occur to be kept, not falling, 1 for orders not named; single ids are
    always kept. Raises InputError without any token, for ids outside the vocabulary and for vocabularies past 2**21 -
    2.
    """
    if vocab_size > (1 << BITS) - 2:
        raise InputError(f"n-gram keys hold vocabularies of up to {(1 << BITS) - 2} ids, not {vocab_size}")
    if not sum(map(len, documents)):
        raise InputError("the training split holds no tokens for the n-gram baseline; check results/tokens")
    largest = max(int(document.max()) for document in documents if len(document))
    if largest >= vocab_size:
        raise InputError(f"token id {largest} is outside the tokenizer's {vocab_size} ids; tokenize again")
    counted = count(documents, order, vocab_size)
    levels: list[Level] = []
    kept = renumber = np.zeros(0, np.int64)
    for n, own in enumerate(counted, start=1):
        adjusted = own.raw if n == order else continuations(own, counted[n], vocab_size if n > 1 else None)
        keep = own.raw >= (least[n - 1] if n <= len(least) and n > 1 else 0)
        discount = np.array([0.0, *discounts(adjusted)])[np.minimum(adjusted, 3)]
        size = len(counted[n - 2].keys) if n > 1 else 1
        totals = np.bincount(own.prefix, adjusted, size)
        freed = np.bincount(own.prefix, np.where(keep, discount, adjusted), size)
        seen = totals > 0
        backoff = np.divide(freed, totals, out=np.ones(size), where=seen)
        share = np.divide(adjusted - discount, totals[own.prefix], out=np.zeros(len(own.keys)), where=adjusted > 0)
        if n == 1:
            p = share + backoff[0] / vocab_size
            p[vocab_size] = 0.0  # START
        else:
            suffix = (own.keys >> np.uint64(BITS)).astype(np.int64)
            p = share + backoff[own.prefix] * p[suffix]
            levels[-1] = Level(levels[-1].keys, levels[-1].p, backoff[kept])
            first = own.keys[keep] & np.uint64((1 << BITS) - 1)
            below = renumber[suffix[keep]] if n > 2 else suffix[keep]
            own_keys = below.astype(np.uint64) << np.uint64(BITS) | first
        levels.append(Level(own.keys if n == 1 else own_keys, p[keep], np.ones(int(keep.sum()))))
        kept, renumber = np.flatnonzero(keep), np.cumsum(keep) - 1
    return KneserNey(vocab_size, tuple(levels))


def count(documents: Sequence[np.ndarray], order: int, vocab_size: int) -> list[Counted]:
    """Count the n-grams of orders 1 ... order; START is not counted as a word but is a place of level 1."""
    words = np.concatenate([part for document in documents for part in ([vocab_size], document)]).astype(np.uint64)
    begins = np.cumsum([0, *(len(document) + 1 for document in documents)])[:-1]
    position = np.arange(len(words)) - np.repeat(begins, np.diff(np.append(begins, len(words))))
    raw = np.bincount(words.astype(np.int64), minlength=vocab_size + 1)
    raw[vocab_size] = 0
    result = [Counted(np.arange(vocab_size + 1, dtype=np.uint64), raw, np.zeros(vocab_size + 1, np.int64))]
    place = words.astype(np.int64)  # of the n-gram that ends here, in its level
    for n in range(2, order + 1):
        ends = np.flatnonzero(position >= n - 1)
        packed = place[ends].astype(np.uint64) << np.uint64(BITS) | words[ends - n + 1]
        keys, inverse, raw = np.unique(packed, return_inverse=True, return_counts=True)
        prefix = np.zeros(len(keys), np.int64)
        prefix[inverse] = place[ends - 1]
        place = np.full(len(words), -1)
        place[ends] = inverse
        result.append(Counted(keys, raw, prefix))
    return result


def continuations(own: Counted, longer: Counted, start: int | None) -> np.ndarray:
    """Return how many different ids precede each n-gram; for those that begin with `start` the raw count."""
    result = np.bincount((longer.keys >> np.uint64(BITS)).astype(np.int64), minlength=len(own.keys))
    if start is None:
        return result
    return np.where(own.keys & np.uint64((1 << BITS) - 1) == start, own.raw, result)


def discounts(counts: np.ndarray) -> tuple[float, float, float]:
    """Return discounts for counts 1, 2 and 3+ from the counts of counts (equation 17); FALLBACK where out of range."""
    n1, n2, n3, n4 = (int((counts == c).sum()) for c in (1, 2, 3, 4))
    if not (n1 and n2 and n3):
        return FALLBACK
    y = n1 / (n1 + 2 * n2)
    result = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    return result if all(0 <= d <= c for c, d in enumerate(result, start=1)) else FALLBACK


def events(documents: Sequence[np.ndarray], order: int, start: int) -> tuple[np.ndarray, np.ndarray]:
    """Return every token with the order - 1 ids before it: uint32 (N, order), and how many of a row's ids count: int64
    (N,).

    Where the document's beginning is nearer than that, `start` fills the row; it counts once.
    """
    lengths = np.array([len(document) for document in documents], np.int64)
    words = np.concatenate([np.zeros(0, np.uint32), *documents]).astype(np.uint32)
    position = np.arange(len(words)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    grams = np.full((len(words), order), start, np.uint32)
    for back in range(order):
        inside = np.flatnonzero(position >= back)
        grams[inside, order - 1 - back] = words[inside - back]
    return grams, np.minimum(position + 2, order)


def places(keys: np.ndarray, suffix: np.ndarray, first: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return the places of the n-grams `first` + the one at place `suffix` among the sorted keys, int64; -1 where they
    do not occur, where the suffix does not (-1), and outside `inside`."""
    if not len(keys):
        return np.full(len(suffix), -1)
    wanted = np.maximum(suffix, 0).astype(np.uint64) << np.uint64(BITS) | first.astype(np.uint64)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(inside & (suffix >= 0) & (keys[place] == wanted), place, -1)


def values_at(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return the values at these places, 1 where a place is -1."""
    return np.append(values, 1.0)[place]
