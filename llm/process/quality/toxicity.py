"""The toxicity model: a linear classifier of words and pairs that does not read who somebody is (identity_terms.py).

Unlike the classifier of quality it adds up its weights over the root of their number (the l2 norm of the features)
instead of their number, so one word of abuse in a sentence counts. Its classes weigh what their examples weigh. Its
bias is such that at most FALSE_ALARMS of the examples that are not toxic score from 0.5 on, when a model judges them
that has not read them. One model, of all examples, judges the corpus, which holds none of them.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl
from safetensors.numpy import load_file, save_file

from llm.io.json import write_json
from llm.process.quality import classifier
from llm.process.quality.classifier import Examples, Model, Recipe
from llm.process.quality.counterfactual import tested
from llm.process.quality.cross_fit import HALVES, hashed
from llm.process.quality.identity_terms import TERMS

RECIPE = Recipe(window=64, bits=22, epochs=4, rate=0.3, decay=1e-4, balanced=False, root=True)
FALSE_ALARMS = 0.01
NEAR = 1e-3  # of the logit: what scores as the last of the false alarms allowed is to stay below 0.5
PREFIX = 16  # bits of a hash by which most words are told from the masked ones


def build(labelled: Iterable[tuple[int, pl.DataFrame]], directory: Path, *, seed: int) -> dict:
    """Train and write model.safetensors and meta.json. Returns the metrics; those of the examples are measured on
    documents that the models judging them have not read.

    labelled: as for classifier.build; so is what happens where a class has no words in a half.
    """
    examples, size = classifier.read_examples(labelled)
    examples = [Examples(*without_terms(part.words, part.borders), part.labels) for part in examples]
    meta: dict = {"window": RECIPE.window, "trained": all(map(classifier.has_both_classes, examples))}
    if meta["trained"]:
        halves = [classifier.fit(part, RECIPE, seed) for part in examples]
        judged = [classifier.judge(halves[1 - half], examples[half].words, examples[half].borders) for half in HALVES]
        harmless, toxic = (
            np.concatenate([rows[part.labels == label, 1] for rows, part in zip(judged, examples, strict=True)])
            for label in (0, 1)
        )
        default = max(0.5, float(np.nanquantile(harmless, 1 - FALSE_ALARMS)))
        shift = logit(default) + NEAR if default > 0.5 else 0.0
        moved = [lowered(halves[1 - half], shift) for half in HALVES]
        model = lowered(classifier.fit(joined(examples), RECIPE, seed), shift)
        save_file({"weights": model.weights, "bias": np.array([model.bias])}, directory / "model.safetensors")
        meta |= classifier.evaluate(moved, examples, column=1) | {"positive_bytes": size[1], "negative_bytes": size[0]}
        meta["false_alarms"], meta["found"] = (round(float((p > default).mean()), 4) for p in (harmless, toxic))
        meta["counterfactual"] = tested(lambda texts: judge(model, *hashed(pl.Series(texts))[:2])[:, 1])
    write_json(directory / "meta.json", meta)
    return meta


def load(directory: Path) -> Model | None:
    """Load the model; None where nothing was trained."""
    if not json.loads((directory / "meta.json").read_text(encoding="utf-8"))["trained"]:
        return None
    tensors = load_file(directory / "model.safetensors")
    return Model(tensors["weights"], float(tensors["bias"][0]), RECIPE.window, RECIPE.root)


def judge(model: Model, words: np.ndarray, borders: np.ndarray) -> np.ndarray:
    """Return as classifier.judge does, of the words that are no terms of identity: a document of nothing else has no
    score (NaN)."""
    return classifier.judge(model, *without_terms(words, borders))


def without_terms(words: np.ndarray, borders: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take the terms of identity out of documents. words u64 [n_words]: hashes; borders i64 [n_documents + 1]."""
    masked = np.unique(hashed(pl.Series([" ".join(TERMS)]))[0])
    first = np.zeros(1 << PREFIX, np.bool_)
    first[masked >> np.uint64(64 - PREFIX)] = True
    suspect = np.flatnonzero(first[words >> np.uint64(64 - PREFIX)])
    kept = np.ones(len(words), np.bool_)
    kept[suspect[np.isin(words[suspect], masked)]] = False
    places = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])
    return words[kept], places[borders]


def joined(examples: list[Examples]) -> Examples:
    return classifier.joined([Examples(part.words, np.diff(part.borders), part.labels) for part in examples])


def lowered(model: Model, shift: float) -> Model:
    return Model(model.weights, round(model.bias - shift, classifier.DIGITS), model.window, model.root)


def logit(probability: float) -> float:
    """Return the logit, rounded, so that a logarithm's last bit does not matter; a finite one of certainty, too."""
    near = min(max(probability, 1e-5), 1 - 1e-5)
    return round(float(np.log(near / (1 - near))), classifier.DIGITS)
