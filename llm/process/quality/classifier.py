"""Two-class text classifiers on hashed words: they tell the documents of some sources from those of others.

They learn from windows of about `window` words, so the length of documents does not matter. The model is in
kernels/linear.py. Here it serves quality (curated sources against raw ones): each class has the same total weight, and
each half of the documents is judged by the model of the other (cross_fit.py). toxicity.py is made of the same parts.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from safetensors.numpy import load_file, save_file

from kernels.linear import scores, train, windows
from llm.io.json import write_json
from llm.process.quality.cross_fit import HALVES, hashed

BITS = 18  # 262,144 weights: 1 MiB, which fits the second-level cache
DIGITS = 5  # decimals of weights and probabilities


@dataclass(frozen=True)
class Recipe:
    """How a model is trained: words in a window, log2 of the number of weights, passes over the windows, AdaGrad's
    step, the share of a weight that is added to its gradient, whether both classes have the same total weight, and
    whether a window's weights are summed over the root of their number (else over their number)."""

    window: int
    bits: int = BITS
    epochs: int = 4
    rate: float = 1.0
    decay: float = 0.0
    balanced: bool = True
    root: bool = False


@dataclass(frozen=True)
class Model:
    """weights f32 [2^bits], bias, words in a window, and as in Recipe."""

    weights: np.ndarray
    bias: float
    window: int
    root: bool = False


@dataclass(frozen=True)
class Examples:
    """One half's documents: word hashes, where each document's begin, its class (1: positive)."""

    words: np.ndarray
    borders: np.ndarray
    labels: np.ndarray


def build(labelled: Iterable[tuple[int, pl.DataFrame]], directory: Path, *, window: int, seed: int) -> dict:
    """Train both models and write them: model.safetensors, meta.json. Returns the metrics, measured on documents that
    the models judging them have not read.

    labelled: class and documents (half, text), chunk by chunk; window: words; seed: of the order of training. Where a
    class has no words in one of the halves no model can be trained: meta.json says so and no model is written.
    """
    examples, size = read_examples(labelled)
    meta: dict = {"window": window, "trained": all(map(has_both_classes, examples))}
    if meta["trained"]:
        models = [fit(examples[1 - half], Recipe(window), seed) for half in HALVES]
        tensors = {f"weights.{half}": models[half].weights for half in HALVES}
        save_file(tensors | {"bias": np.array([model.bias for model in models])}, directory / "model.safetensors")
        meta |= evaluate(models, examples) | {"positive_bytes": size[1], "negative_bytes": size[0]}
    write_json(directory / "meta.json", meta)
    return meta


def read_examples(labelled: Iterable[tuple[int, pl.DataFrame]]) -> tuple[list[Examples], list[int]]:
    """Return the documents of both halves, and the bytes of each class."""
    parts: list[list[Examples]] = [[], []]
    size = [0, 0]
    for label, frame in labelled:
        for half in HALVES:
            words, borders, _, data = hashed(frame.filter(half=half)["text"])
            parts[half].append(Examples(words.copy(), np.diff(borders), np.full(len(borders) - 1, float(label))))
            size[label] += len(data)
    return [joined(some) for some in parts], size


def joined(parts: list[Examples]) -> Examples:
    """Concatenate examples; the parts have lengths where the result has borders."""
    lengths = np.concatenate([np.zeros(1, np.int64), *(part.borders for part in parts)])
    words = np.concatenate([np.zeros(0, np.uint64), *(part.words for part in parts)])
    return Examples(words, np.cumsum(lengths), np.concatenate([np.zeros(0), *(part.labels for part in parts)]))


def has_both_classes(examples: Examples) -> bool:
    filled = examples.labels[np.diff(examples.borders) > 0]
    return 0 < filled.sum() < len(filled)


def fit(examples: Examples, recipe: Recipe, seed: int) -> Model:
    spans, document = windows(examples.borders, recipe.window)
    labels = examples.labels[document]
    n_words = np.diff(spans)[:, 0]
    share = np.array([n_words[labels == label].sum() for label in (0, 1)]) / n_words.sum()
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(spans))
    importance = 0.5 / share[labels.astype(np.int64)] if recipe.balanced else np.ones(len(labels))
    weights, bias = train(
        examples.words, spans[order], labels[order], importance[order], bits=recipe.bits, epochs=recipe.epochs,
        rate=recipe.rate, decay=recipe.decay, root=recipe.root,
    )  # fmt: skip
    return Model(np.round(weights, DIGITS).astype(np.float32), round(float(bias), DIGITS), recipe.window, recipe.root)


def evaluate(models: list[Model], examples: list[Examples], column: int = 0) -> dict:
    """Measure how well half h is judged by models[h], which has not read it. column: of `judge`. `auc_of_length`: what
    the number of words alone would reach, as a control."""
    judged = np.concatenate([judge(models[half], examples[half].words, examples[half].borders) for half in HALVES])
    labels = np.concatenate([part.labels for part in examples])
    n_words = np.concatenate([np.diff(part.borders) for part in examples])
    filled = n_words > 0
    judged, labels, n_words = judged[filled, column], labels[filled], n_words[filled]
    by_length = auc(n_words, labels)
    correct = (judged >= 0.5) == (labels == 1)
    return {
        "auc": round(auc(judged, labels), 4),
        "auc_of_length": round(max(by_length, 1 - by_length), 4),
        "accuracy": round(float(correct[labels == 1].mean() + correct[labels == 0].mean()) / 2, 4),
        "positive_documents": int(labels.sum()),
        "negative_documents": int(len(labels) - labels.sum()),
    }


def auc(values: np.ndarray, labels: np.ndarray) -> float:
    """Return the chance that a positive has a higher value than a negative, ties counting half (Mann and Whitney
    1947)."""
    distinct, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    n = int(labels.sum())
    return float((ranks[inverse][labels == 1].sum() - n * (n + 1) / 2) / (n * (len(labels) - n)))


def load(directory: Path) -> tuple[Model, ...] | None:
    """Load the models of both halves; None where nothing was trained."""
    meta = json.loads((directory / "meta.json").read_text(encoding="utf-8"))
    if not meta["trained"]:
        return None
    tensors = load_file(directory / "model.safetensors")
    return tuple(Model(tensors[f"weights.{h}"], float(tensors["bias"][h]), meta["window"]) for h in HALVES)


def judge(model: Model, words: np.ndarray, borders: np.ndarray) -> np.ndarray:
    """Return probabilities f64 [n_documents, 2] that documents are of the positive class: the mean over their windows,
    and the highest. NaN where a document has no words."""
    return np.round(scores(words, borders, model.weights, model.bias, model.window, model.root), DIGITS)
