"""Measures how much of a document occurs in an evaluation set: the share of its word n-grams that the set's items have.

It follows GPT-3's overlap analysis (Brown et al. 2020, appendix C): 13 words, lower case, no punctuation; exactly
defined in kernels/contamination.py. An item shorter than that counts as a whole, if it has at least `min_words` words:
shorter ones occur everywhere. `clean` decides what happens to a document. No text leaves this module.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from kernels.contamination import find_grams, gram_hashes, gram_table, word_hashes
from llm.errors import InputError
from llm.io.utf8 import utf8


@dataclass(frozen=True)
class Grams:
    """The n-grams of all evaluation sets. One that occurs in several sets counts for the first.
    lengths i64: of the n-grams, in words, each once; sets i64 [n]: the set of each n-gram; table: keys, rows, bloom;
    of_items i64 [m, 2]: (n-gram, item) for every occurrence, items counted over all sets.
    """

    names: list[str]
    n: int
    lengths: np.ndarray
    sets: np.ndarray
    table: tuple[np.ndarray, np.ndarray, np.ndarray]
    of_items: np.ndarray
    items: list[int]  # number of items of each set
    short: list[int]  # number of items of each set that have no n-gram


def evaluation_grams(evaluations: Iterable[tuple[str, Iterable[pl.Series]]], *, n: int, min_words: int) -> Grams:
    """Return the n-grams of evaluation sets, given by name with their items' texts. Raises InputError if min_words >
    n."""
    if min_words > n:
        raise InputError(f"process.decontaminate.min_words: {min_words} must be at most ngram, which is {n}")
    names, items, short, hashes, lengths, owners, sets = [], [], [], [], [], [], []
    for name, shards in evaluations:
        names.append(name)
        items.append(0)
        short.append(0)
        for texts in shards:
            words, offsets = word_hashes(*utf8(texts))
            found, size, item = gram_hashes(words, offsets, n, min_words)
            hashes.append(found)
            lengths.append(size)
            owners.append(item + sum(items))
            sets.append(np.full(len(found), len(names) - 1))
            items[-1] += len(texts)
            short[-1] += len(texts) - len(np.unique(item))
    every = np.concatenate([np.zeros(0, np.uint64), *hashes])
    distinct, first, gram = np.unique(every, return_index=True, return_inverse=True)
    owner, set_of = (np.concatenate([np.zeros(0, np.int64), *parts]) for parts in (owners, sets))
    return Grams(
        names=names,
        n=n,
        lengths=np.unique(np.concatenate([np.zeros(0, np.int64), *lengths])),
        sets=set_of[first],
        table=gram_table(distinct),
        of_items=np.stack([gram, owner], axis=1),
        items=items,
        short=short,
    )


class Search:
    """Looks up the n-grams of evaluation sets in documents, and counts what it finds."""

    def __init__(self, grams: Grams, min_hits: int) -> None:
        self.grams, self.min_hits = grams, min_hits
        self.seen = np.zeros(len(grams.sets), dtype=bool)
        self.documents = np.zeros(len(grams.names), dtype=np.int64)  # number of documents in which each set is found
        self.hits = np.zeros(len(grams.names), dtype=np.int64)
        self.contaminated = 0

    def of(self, texts: pl.Series) -> pl.DataFrame:
        """Return a row for each text: `contamination`, the share of its n-grams that a set holds (0 if there are fewer
        than min_hits), rounded to six digits, and `evaluation`, the name of the set that holds most of them, else
        null."""
        words, offsets = word_hashes(*utf8(texts))
        hits = np.zeros((len(texts), len(self.grams.names)), dtype=np.int32)
        find_grams(words, offsets, self.grams.lengths, *self.grams.table, self.grams.sets, hits, self.seen)
        total = hits.sum(axis=1)
        hits[total < self.min_hits] = 0
        total[total < self.min_hits] = 0
        self.documents += (hits > 0).sum(axis=0)
        self.hits += hits.sum(axis=0)
        self.contaminated += int((total > 0).sum())
        possible = np.maximum(np.diff(offsets) - self.grams.n + 1, 1)
        share = np.round(np.minimum(total / possible, 1.0), 6)
        names = pl.Series([*self.grams.names, None], dtype=pl.String)
        best = np.where(total > 0, hits.argmax(axis=1), len(self.grams.names))
        return pl.DataFrame({"contamination": share, "evaluation": names.gather(best)})

    def metrics(self) -> dict:
        """Return, by evaluation set, the number of items, of items too short to be looked for, of items found in part,
        of documents with hits, and of hits."""
        ends = np.cumsum(self.grams.items)
        grams, items = self.grams.of_items.T
        found = np.searchsorted(ends, np.unique(items[self.seen[grams]]), side="right")
        return {
            "contaminated": self.contaminated,
            "evaluations": {
                name: {
                    "items": self.grams.items[i],
                    "items_too_short": self.grams.short[i],
                    "items_found": int((found == i).sum()),
                    "documents": int(self.documents[i]),
                    "hits": int(self.hits[i]),
                }
                for i, name in enumerate(self.grams.names)
            },
        }
