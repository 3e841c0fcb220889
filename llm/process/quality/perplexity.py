"""Computes the perplexity of documents by word n-gram models of the curated sources: training, files, scoring.

Words are those of kernels/words.py: lower case, digits as 0, punctuation apart. A document is one sequence from <s> to
</s>, whatever its lines. perplexity = 10 ** (-sum of log10 p / (n_words + 1)), with the end counted as a word and <s>
not: what KenLM's `perplexity()` gives for the normalised text as one sentence. Words outside the vocabulary are <unk>;
where the vocabulary was cut, <unk> occurred, and its probability is divided by the number of words it stands for.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from safetensors.numpy import load_file, save_file

from kernels.ngram import extended, log_probabilities, table
from llm.io.json import write_json
from llm.process.quality.cross_fit import HALVES, hashed, sample
from llm.process.quality.kneser_ney import BITS, KneserNey, train

UNKNOWN, END = 0, 1  # ids; the words follow in the order of their hashes
SPECIAL = np.array([1, 2, 3], np.uint64)  # hashes of <unk>, <s>, </s>
DIGITS = 6  # decimals of log10 p: the last bits of a logarithm differ between processors


@dataclass(frozen=True)
class Model:
    """One half's model as a hash table, see kernels/ngram.py."""

    order: int
    slots: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Corpus:
    """Word hashes u64 of each half's documents end to end, where each document begins, and what the hashes spell."""

    words: tuple[np.ndarray, ...]
    borders: tuple[np.ndarray, ...]
    spelling: dict[int, str]
    size: int


def read_corpus(sources: list[Path], sample_bytes: int) -> Corpus:
    """Read the sources' documents, or a sample of them, as words."""
    words: tuple[list, ...] = ([], [])
    lengths: tuple[list, ...] = ([], [])
    spelling: dict[int, str] = {}
    size = 0
    for frame in sample(sources, sample_bytes):
        for half in HALVES:
            own, borders, spans, data = hashed(frame.filter(half=half)["text"])
            words[half].append(own)
            lengths[half].append(np.diff(borders))
            size += len(data)
            found, first = np.unique(own, return_index=True)
            for key, (start, stop) in zip(found.tolist(), spans[first].tolist(), strict=True):
                if key not in spelling:
                    spelling[key] = normalised(data[start:stop])
    begins = tuple(np.concatenate([[0], np.cumsum(np.concatenate([[], *part]))]).astype(np.int64) for part in lengths)
    return Corpus(tuple(np.concatenate([np.zeros(0, np.uint64), *part]) for part in words), begins, spelling, size)


def normalised(word: bytes) -> str:
    """Return how a model spells a word that kernels/words.py found."""
    text = word.decode()
    if text.isascii() and not text.isalnum():
        return text[0]
    return "".join("0" if c in "0123456789" else c.lower() if c.isascii() else c for c in text)


def fit(corpus: Corpus, half: int, order: int, vocabulary: int, prune: bool) -> tuple[KneserNey, np.ndarray]:
    """Return the model that judges documents of `half`, trained on the others, and the hashes u64 of its ids, <s> last.

    vocabulary: most words, the most frequent ones (ties: smallest hash). prune: drop n-grams of three words and more
    that occurred once."""
    words, borders = corpus.words[1 - half], corpus.borders[1 - half]
    found, counts = np.unique(words, return_counts=True)
    chosen = np.sort(found[np.lexsort((found, -counts))[:vocabulary]])
    place = np.minimum(np.searchsorted(chosen, words), len(chosen) - 1)
    ids = np.where(chosen[place] == words, place + 2, UNKNOWN)
    documents = [np.append(ids[begin:end], END) for begin, end in zip(borders[:-1], borders[1:], strict=True)]
    model = train(documents, order, len(chosen) + 2, (1, 1, *([2] * (order - 2))) if prune else ())
    divide_unknown(model, max(1, len(found) - len(chosen)))
    return model, np.concatenate([SPECIAL[[0, 2]], chosen, SPECIAL[1:2]])


def divide_unknown(model: KneserNey, types: int) -> None:
    """Give each of `types` unknown words an equal share of <unk>'s probability."""
    last = np.arange(model.vocab_size + 1)
    for n, level in enumerate(model.levels):
        last = last if n == 0 else last[(level.keys >> np.uint64(BITS)).astype(np.int64)]
        level.p[last == UNKNOWN] /= types


def entries(model: KneserNey) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield, by order, each n-gram's first id, the place of the rest in the order below, log10 p and log10 back-off
    (f32)."""
    for n, level in enumerate(model.levels):
        first = (level.keys & np.uint64((1 << BITS) - 1)).astype(np.int64)
        with np.errstate(divide="ignore"):
            p, backoff = (np.round(np.log10(x), DIGITS).astype(np.float32) for x in (level.p, level.backoff))
        if n == 0:
            p[model.vocab_size] = -99  # <s> is never predicted; KenLM's tools write it so
        yield first, (level.keys >> np.uint64(BITS)).astype(np.int64), p, np.maximum(backoff, -99)


def flattened(model: KneserNey, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return all n-grams by hash: keys u64 [n], sorted, and f32 [n, 2], see kernels/ngram.py."""
    keys: list[np.ndarray] = []
    values: list[np.ndarray] = []
    for n, (first, rest, p, backoff) in enumerate(entries(model)):
        keys.append(hashes[first] if n == 0 else extended(keys[-1][rest], hashes[first]))
        values.append(np.stack([p, backoff], axis=1))
    everything = np.concatenate(keys)
    order = np.argsort(everything, kind="stable")
    return everything[order], np.concatenate(values)[order]


def write_arpa(model: KneserNey, spelling: list[str], path: Path) -> None:
    """Write the model in the ARPA format, which KenLM, SRILM and others read. spelling: of the ids, <s> last."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("\\data\\\n")
        for n, level in enumerate(model.levels, start=1):
            file.write(f"ngram {n}={len(level.keys)}\n")
        texts: list[str] = []
        for n, (first, rest, p, backoff) in enumerate(entries(model), start=1):
            words = [spelling[i] for i in first.tolist()]
            texts = words if n == 1 else [f"{word} {texts[i]}" for word, i in zip(words, rest.tolist(), strict=True)]
            file.write(f"\n\\{n}-grams:\n")
            if n == len(model.levels):
                file.writelines(f"{a:.6f}\t{text}\n" for a, text in zip(p.tolist(), texts, strict=True))
            else:
                rows = zip(p.tolist(), texts, backoff.tolist(), strict=True)
                file.writelines(f"{a:.6f}\t{text}\t{b:.6f}\n" for a, text, b in rows)
        file.write("\n\\end\\\n")


def build(sources: list[Path], directory: Path, *, order: int, vocabulary: int, sample_bytes: int, prune: bool) -> dict:
    """Train both models and write them: model.safetensors, half-<h>.arpa, meta.json. Returns the metrics.

    Without a word in one of the halves nothing can be trained: meta.json says so and no model is written.
    """
    corpus = read_corpus(sources, sample_bytes) if sources else None
    meta: dict = {"order": order, "trained": corpus is not None and all(map(len, corpus.words))}
    if corpus is None or not meta["trained"]:
        write_meta(directory, meta)
        return meta
    tensors: dict[str, np.ndarray] = {}
    logs, n_scored = 0.0, 0
    for half in HALVES:
        model, hashes = fit(corpus, half, order, vocabulary, prune)
        keys, values = flattened(model, hashes)
        tensors |= {f"keys.{half}": keys, f"values.{half}": values}
        spelling = ["<unk>", "</s>", *(corpus.spelling[key] for key in hashes[2:-1].tolist()), "<s>"]
        write_arpa(model, spelling, directory / f"half-{half}.arpa")
        sums, _ = log_probabilities(corpus.words[half], corpus.borders[half], *table(keys, values), order, SPECIAL)
        logs += float(sums.sum())
        n_scored += len(corpus.words[half]) + len(sums)
        meta[f"half_{half}"] = {
            "words": len(corpus.words[1 - half]),
            "vocabulary": len(hashes) - 3,
            "ngrams": [len(level.keys) for level in model.levels],
        }
    meta |= {
        "documents": sum(len(borders) - 1 for borders in corpus.borders),
        "bytes": corpus.size,
        "heldout_perplexity": round(10 ** (-logs / n_scored), 2),
    }
    save_file(tensors, directory / "model.safetensors")
    write_meta(directory, meta)
    return meta


def write_meta(directory: Path, meta: dict) -> None:
    write_json(directory / "meta.json", meta)


def load(directory: Path) -> tuple[Model, ...] | None:
    """Load the models of both halves; None where nothing was trained."""
    meta = json.loads((directory / "meta.json").read_text(encoding="utf-8"))
    if not meta["trained"]:
        return None
    tensors = load_file(directory / "model.safetensors")
    return tuple(Model(meta["order"], *table(tensors[f"keys.{h}"], tensors[f"values.{h}"])) for h in HALVES)


def perplexities(model: Model, words: np.ndarray, borders: np.ndarray) -> pl.Series:
    """Return the perplexity of each document, to two decimals; null where it has no words. words, borders: see
    kernels/words.py."""
    sums, _ = log_probabilities(words, borders, model.slots, model.values, model.order, SPECIAL)
    n_words = np.diff(borders)
    values = np.round(10 ** (-sums / (n_words + 1)), 2)
    return pl.Series("perplexity", np.where(n_words > 0, values, np.nan), dtype=pl.Float64).fill_nan(None)
