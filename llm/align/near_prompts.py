"""Finds prompts that are nearly the same, so that none of them is trained on while another is held out.

The measure is the Jaccard similarity of the prompts' sets of words, by the MinHash of stage 2 (kernels/minhash.py):
bands of the signatures give candidates, the sets decide. Prompts are short, so a shingle is one word: of ten words one
that differs leaves 0.82. Among prompts of one kind what all of them begin and end with, a task's instructions, does
not count, or else all its items would be alike.
"""

from collections.abc import Callable, Sequence
from os.path import commonprefix

import numpy as np
import polars as pl

from kernels.duplicates import are_empty, band_keys, bucket_pairs, components, join_similar, shingle_sets
from kernels.minhash import NO_SHINGLE, coefficients, signatures
from llm.io.utf8 import utf8

PERMUTATIONS, BANDS, ROWS = 128, 32, 4  # two prompts of similarity 0.8 are candidates but for one time in 10^7
MOST = 16  # members of a bucket that all others are compared with
CANDIDATES = 1 << 22  # pairs made at once
TEMPLATE = 8  # prompts of a kind, from which on what they have in common is no coincidence
WORDS, SEED = 1, 0


def near_groups(prompts: Sequence[str], kinds: Sequence[str], least: float) -> list[int]:
    """Return for each prompt the number of the first prompt that it is alike with, itself where there is none; alike of
    alike count as alike. least: similarity. prompts: distinct, in lower case."""
    numbers = np.unique(np.array(kinds, dtype=np.str_), return_inverse=True)[1]
    within = alike(varying(prompts, kinds), least, lambda a, b: numbers[a] == numbers[b])
    across = alike(prompts, least, lambda a, b: numbers[a] != numbers[b])
    return components(len(prompts), np.concatenate([within, across]))[0].tolist()


def alike(texts: Sequence[str], least: float, compared: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Return pairs of texts, i64 [n, 2], that connect all which are alike. compared: which pairs are looked at."""
    data, offsets = utf8(pl.Series(texts, dtype=pl.String))
    signed = signatures(data, offsets, *coefficients(PERMUTATIONS, SEED), WORDS)
    some = np.flatnonzero(~are_empty(signed, NO_SHINGLE))
    key, member = band_keys(signed[some], BANDS, ROWS).ravel(), np.repeat(some, BANDS).astype(np.uint64)
    order = np.lexsort((member, key))
    key, member = key[order], member[order]
    found, begin = [np.empty((0, 2), np.uint64)], 0
    while begin < len(key):
        pairs, begin, _ = bucket_pairs(key, member, MOST, begin, CANDIDATES)
        found.append(np.unique(pairs, axis=0))
    nodes = np.unique(np.concatenate(found), axis=0).astype(np.int64)
    nodes = nodes[compared(nodes[:, 0], nodes[:, 1])]
    values, borders = shingle_sets(data, offsets, WORDS)
    return nodes[join_similar(np.arange(len(texts)), nodes, nodes, values, borders, least)[0]]


def varying(prompts: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """Return the prompts without the words that all of their kind begin and end with."""
    words = [prompt.split() for prompt in prompts]
    by_kind: dict[str, list[list[str]]] = {}
    for own, kind in zip(words, kinds, strict=True):
        by_kind.setdefault(kind, []).append(own)
    cuts = {kind: ends_in_common(some) for kind, some in by_kind.items()}
    return [" ".join(own[cuts[kind][0] : len(own) - cuts[kind][1]]) for own, kind in zip(words, kinds, strict=True)]


def ends_in_common(prompts: list[list[str]]) -> tuple[int, int]:
    """Return how many words all prompts begin with, and end with."""
    if len(prompts) < TEMPLATE:
        return 0, 0
    shortest = min(map(len, prompts))
    front = len(commonprefix(prompts))
    return front, min(len(commonprefix([prompt[::-1] for prompt in prompts])), shortest - front)
