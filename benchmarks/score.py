"""Scores beside peers on real text: n-gram look-up against KenLM's own query, the classifier against scikit-learn's.

    python benchmarks/score.py [RAW...]        (default: results/raw/*)

CPU seconds of one thread, contenders in turn, medians of 5 rounds. KenLM is given text that is normalised already and
split as it likes it; scikit-learn hashes words and pairs into as many features. A peer that is missing is left out.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.compare import Row, in_turns, show, timed
from llm.process.quality import classifier, perplexity
from llm.process.quality.cross_fit import hashed, sample

ROUNDS = 5
BYTES = 8_000_000


def main() -> None:
    sources = [Path(name) for name in sys.argv[1:]] or sorted(Path("results/raw").iterdir())
    everything = pl.concat([frame for source in sources for frame in sample([source], BYTES)])
    frame = everything.filter(pl.col("text").str.len_bytes().cum_sum() <= BYTES)
    texts, size = frame["text"], int(frame["text"].str.len_bytes().sum())
    words, borders, spans, data = hashed(texts)
    print(f"{len(texts):,} documents, {size / 1e6:.1f} MB, {len(words):,} words; MB per CPU second")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        perplexity.build(sources, directory, order=3, vocabulary=1_000_000, sample_bytes=32_000_000, prune=True)
        ngrams = perplexity.load(directory)[0]
        contenders = {
            "words": lambda: hashed(texts),
            "perplexity of words": lambda: perplexity.perplexities(ngrams, words, borders),
        }
        spelled = [perplexity.normalised(data[start:stop]) for start, stop in spans.tolist()]
        sentences = [" ".join(spelled[a:b]) for a, b in zip(borders[:-1], borders[1:], strict=True)]
        contenders |= kenlm_reader(directory / "half-0.arpa", sentences)
        report(contenders, size, "perplexity of words")
    labels = np.arange(len(texts)) % 2  # what is learned does not matter to the time
    model = classifier.fit(classifier.Examples(words, borders, labels.astype(np.float64)), classifier.Recipe(128), 1)
    contenders = {
        "classifier, text to score": lambda: classifier.judge(model, *hashed(texts)[:2]),
        "classifier of words": lambda: classifier.judge(model, words, borders),
    }
    report(contenders | sklearn_classifier(texts.to_list(), labels), size, "classifier, text to score")


def kenlm_reader(arpa: Path, sentences: list[str]) -> dict[str, Callable]:
    try:
        import kenlm
    except ImportError:
        print("kenlm is not installed: left out")
        return {}
    reader = kenlm.Model(str(arpa))
    return {"kenlm, normalised text": lambda: [reader.score(sentence) for sentence in sentences]}


def sklearn_classifier(texts: list[str], labels: np.ndarray) -> dict[str, Callable]:
    try:
        from sklearn.feature_extraction.text import HashingVectorizer
        from sklearn.linear_model import SGDClassifier
    except ImportError:
        print("scikit-learn is not installed: left out")
        return {}
    vectorizer = HashingVectorizer(n_features=1 << classifier.BITS, ngram_range=(1, 2), norm="l1", alternate_sign=False)
    learned = SGDClassifier(loss="log_loss", random_state=0).fit(vectorizer.transform(texts[:1000]), labels[:1000])
    return {"scikit-learn, text to score": lambda: learned.predict_proba(vectorizer.transform(texts))}


def report(contenders: dict[str, Callable], size: int, ours: str) -> None:
    """Time all in turn and print medians and how many times as fast `ours` is."""
    for contender in contenders.values():
        contender()  # compiled and warm
    speeds = in_turns([(size, timed(name, contender)) for name, contender in contenders.items()], ROUNDS)
    show([Row(ours, speeds[ours], *((name, speeds[name]) if name != ours else ())) for name in speeds])


if __name__ == "__main__":
    main()
