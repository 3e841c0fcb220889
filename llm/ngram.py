"""Interpolated modified Kneser-Ney n-gram models over token ids, order 1 to 3: the baseline a trained model must beat.

Counts are integers in sorted arrays, everything is vectorised numpy. Does not read files and does not prune.

Documents are independent. START stands before each as a context and is never predicted; [EOS] is predicted like any
token. As in KenLM, n-grams that begin with START keep their raw counts at every order: nothing can precede START.

Source: Chen & Goodman, An Empirical Study of Smoothing Techniques for Language Modeling (TR-10-98), equations 13 to 17.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llm.errors import InputError

BITS = 21  # of one id in a key: three ids fill 63 bits
MASK = np.uint64((1 << BITS) - 1)
FALLBACK = (0.5, 1.0, 1.5)  # KenLM's discounts where the counts of counts define none


@dataclass(frozen=True)
class Level:
    """One order's discounted counts. An n-gram's key packs its ids, oldest highest; a context's key lacks the last."""

    keys: np.ndarray  # uint64, sorted
    share: np.ndarray  # float64 per key: (count - discount) / the context's total count
    contexts: np.ndarray  # uint64, sorted
    backoff: np.ndarray  # float64 per context: the mass that its discounts freed


@dataclass(frozen=True)
class KneserNey:
    """A model of p(word | up to order - 1 ids before it) over ids 0 ... vocab_size - 1. START is id vocab_size."""

    vocab_size: int
    levels: tuple[Level, ...]  # order 1 first

    def probability(self, grams: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
        """p(last id | ids before it) for each row.

        grams: int (N, order), the word last. known: int (N,), how many ids of the row count, from the right (default:
        all): a document's first word has only START before it. Returns float64 (N,).
        """
        result = np.full(len(grams), 1.0 / self.vocab_size)
        for n, level in enumerate(self.levels, start=1):
            rows = slice(None) if known is None else np.flatnonzero(known >= n)
            keys = pack(grams[rows, len(self.levels) - n :])
            backoff = look_up(level.contexts, level.backoff, keys >> np.uint64(BITS), 1.0)
            result[rows] = look_up(level.keys, level.share, keys, 0.0) + backoff * result[rows]
        return result

    def bits(self, documents: Sequence[np.ndarray]) -> float:
        """Sum over all tokens of -log2 p, each document beginning anew."""
        grams, known = events(documents, len(self.levels), self.vocab_size)
        return float(-np.log2(self.probability(grams, known)).sum())


def train(documents: Sequence[np.ndarray], order: int, vocab_size: int) -> KneserNey:
    """Count `documents` (id arrays, [EOS] included) and smooth. order: 1 to 3.

    Raises InputError without any token, for ids outside the vocabulary and for vocabularies past 2**21 - 1.
    """
    if vocab_size > int(MASK) - 1:
        raise InputError(f"n-gram keys hold vocabularies of up to {int(MASK) - 1} ids, not {vocab_size}")
    grams, known = events(documents, order, vocab_size)
    if not len(grams):
        raise InputError("the training split holds no tokens for the n-gram baseline; check results/tokens")
    largest = int(grams[:, -1].max())
    if largest >= vocab_size:
        raise InputError(f"token id {largest} is outside the tokenizer's {vocab_size} ids; tokenize again")
    levels: list[Level] = []
    longer: np.ndarray | None = None
    for n in range(order, 0, -1):
        if longer is None:
            keys, counts = np.unique(pack(grams[known >= n]), return_counts=True)
        else:
            # Continuation counts (in how many contexts one word longer) from the longer n-grams, raw ones at START.
            continued = longer & np.uint64((1 << n * BITS) - 1)
            at_start = pack(grams[known == n][:, order - n :]) if n > 1 else longer[:0]
            keys, counts = np.unique(np.concatenate([continued, at_start]), return_counts=True)
        levels.append(smoothed(keys, counts))
        longer = keys
    return KneserNey(vocab_size, tuple(reversed(levels)))


def smoothed(keys: np.ndarray, counts: np.ndarray) -> Level:
    """Absolute discounts per count 1, 2, 3+; the freed mass goes to the next lower order."""
    if not len(keys):  # all documents are shorter than this order
        return Level(keys, np.zeros(0), keys, np.zeros(0))
    discount = np.array([0.0, *discounts(counts)])[np.minimum(counts, 3)]
    of_key = keys >> np.uint64(BITS)
    first = np.flatnonzero(np.concatenate([[True], of_key[1:] != of_key[:-1]]))
    sizes = np.diff(np.append(first, len(keys)))
    totals = np.add.reduceat(counts, first).astype(np.float64)
    freed = np.add.reduceat(discount, first)
    return Level(keys, (counts - discount) / np.repeat(totals, sizes), of_key[first], freed / totals)


def discounts(counts: np.ndarray) -> tuple[float, float, float]:
    """Discounts for counts 1, 2 and 3+ from the counts of counts (equation 17); FALLBACK where out of range."""
    n1, n2, n3, n4 = (int((counts == c).sum()) for c in (1, 2, 3, 4))
    if not (n1 and n2 and n3):
        return FALLBACK
    y = n1 / (n1 + 2 * n2)
    result = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    return result if all(0 <= d <= c for c, d in enumerate(result, start=1)) else FALLBACK


def events(documents: Sequence[np.ndarray], order: int, start: int) -> tuple[np.ndarray, np.ndarray]:
    """Every token with the order - 1 ids before it: uint32 (N, order), and how many of a row's ids count: int64 (N,).

    Where a document's beginning is nearer than that, `start` fills in; it counts once.
    """
    lengths = np.array([len(document) for document in documents], np.int64)
    words = np.concatenate([np.zeros(0, np.uint32), *documents]).astype(np.uint32)
    position = np.arange(len(words)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    grams = np.full((len(words), order), start, np.uint32)
    for back in range(order):
        inside = np.flatnonzero(position >= back)
        grams[inside, order - 1 - back] = words[inside - back]
    return grams, np.minimum(position + 2, order)


def pack(grams: np.ndarray) -> np.ndarray:
    """uint64 keys (N,) of ids (N, n), n up to 3."""
    keys = np.zeros(len(grams), np.uint64)
    for column in range(grams.shape[1]):
        keys = keys << np.uint64(BITS) | grams[:, column].astype(np.uint64)
    return keys


def look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray, otherwise: float) -> np.ndarray:
    """values where `wanted` is among the sorted `keys`, else `otherwise`."""
    if not len(keys):
        return np.full(len(wanted), otherwise)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], otherwise)
