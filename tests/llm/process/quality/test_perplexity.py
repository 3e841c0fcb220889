"""Perplexity models by KenLM's reading of their ARPA files, by the dictionary implementation, and on both halves."""

import hashlib
import json
import math
from pathlib import Path

import kenlm
import numpy as np
import polars as pl
import pytest

from kernels.ngram import log_probabilities, table
from llm.process.quality import perplexity
from llm.process.quality.cross_fit import hashed, sample
from llm.process.settings.perplexity_model import PerplexitySettings
from scripts.process.perplexity_model import main as perplexity_model
from tests.llm.process.quality.test_kneser_ney import SlowKneserNey

SENTENCE = "the of a cat dog sat ran on mat, and. then it was 1998 Ärger “so” 日本"
WORDS = SENTENCE.split()
OPTIONS = {"order": 3, "vocabulary": 1000, "sample_bytes": 1 << 20, "prune": False}


def texts_of(seed: int, n: int) -> list[str]:
    random = np.random.Generator(np.random.PCG64(seed))
    picks = [np.minimum(random.geometric(0.2, size), len(WORDS)) - 1 for size in random.integers(1, 40, n)]
    return [" ".join(WORDS[i] for i in pick) for pick in picks]


def write_raw(directory: Path, texts: list[str], shards: int = 1) -> Path:
    directory.mkdir(parents=True)
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    frame = pl.DataFrame({"id": [f"s/{i:08d}" for i in range(len(texts))], "text": texts, "sha256": digests})
    size = -(-len(texts) // shards)
    for i in range(shards):
        frame[i * size : (i + 1) * size].write_parquet(directory / f"part-{i:05d}.parquet")
    return directory


def trained(directory: Path, texts: list[str], **options) -> dict:
    raw = write_raw(directory / "raw", texts)
    (directory / "model").mkdir()
    return perplexity_model(directory / "model", [raw], settings=PerplexitySettings(**OPTIONS | options))


def normalised(text: str) -> list[str]:
    _, _, spans, data = hashed(pl.Series([text]))
    return [perplexity.normalised(data[start:stop]) for start, stop in spans.tolist()]


@pytest.mark.parametrize(
    "options", [{}, {"order": 5}, {"order": 4, "prune": True}, {"order": 2}, {"vocabulary": 8, "prune": True}]
)
def test_kenlm_gives_the_same_probabilities(tmp_path: Path, options: dict) -> None:
    trained(tmp_path, texts_of(0, 300), **options)
    models = perplexity.load(tmp_path / "model")
    texts = [*texts_of(1, 30), "the", "unseen words 1777 ? ?? 日 語", "", "cat cat unseen cat"]
    for half, model in enumerate(models):
        reader = kenlm.Model(str(tmp_path / f"model/half-{half}.arpa"))
        words, borders, _, _ = hashed(pl.Series(texts))
        sums, unknown = log_probabilities(words, borders, model.slots, model.values, model.order, perplexity.SPECIAL)
        ours = perplexity.perplexities(model, words, borders).to_list()
        for i, text in enumerate(texts):
            sentence = " ".join(normalised(text))
            scores = list(reader.full_scores(sentence))
            assert sums[i] == pytest.approx(sum(score for score, _, _ in scores), abs=1e-5 * len(scores))
            assert unknown[i] == sum(oov for _, _, oov in scores)
            if text:
                assert ours[i] == pytest.approx(reader.perplexity(sentence), rel=1e-4, abs=0.006)
            else:
                assert ours[i] is None


@pytest.mark.parametrize("order", [2, 3])
def test_equals_the_dictionary_implementation(tmp_path: Path, order: int) -> None:
    texts = texts_of(2, 200)
    trained(tmp_path, texts, order=order)
    models = perplexity.load(tmp_path / "model")
    frames = list(sample([tmp_path / "raw"], 1 << 20))
    for half in (0, 1):
        documents = [normalised(text) for frame in frames for text in frame.filter(half=1 - half)["text"]]
        vocabulary = {word: i + 2 for i, word in enumerate(sorted({word for words in documents for word in words}))}
        ids = [np.array([*(vocabulary[word] for word in words), 1]) for words in documents]
        slow = SlowKneserNey(ids, order, len(vocabulary) + 2)
        for text in texts[:20]:
            words = [vocabulary.get(word, 0) for word in normalised(text)]
            bits = slow.bits([np.array([*words, 1])], order)
            own, borders, _, _ = hashed(pl.Series([text]))
            expected = 2 ** (bits / (len(words) + 1))
            assert perplexity.perplexities(models[half], own, borders)[0] == pytest.approx(
                expected, rel=1e-4, abs=0.006
            )


def oov(reader: kenlm.Model, word: str) -> int:
    return sum(unknown for _, _, unknown in reader.full_scores(word, eos=False))


def test_unknown_words_share_what_unknown_has(tmp_path: Path) -> None:
    """With a vocabulary of 3 the many other words are <unk>; each counts as one of them, not as all."""
    trained(tmp_path, texts_of(3, 300), vocabulary=3, order=2)
    reader = kenlm.Model(str(tmp_path / "model/half-0.arpa"))
    corpus = perplexity.read_corpus([tmp_path / "raw"], 1 << 20)
    types = len(np.unique(corpus.words[1])) - 3
    assert types > 5
    spelled = [corpus.spelling[key] for key in np.unique(corpus.words[1]).tolist()]
    known = [word for word in spelled if not oov(reader, word)]
    assert len(known) == 3
    total = sum(10 ** reader.score(word, eos=False) for word in known) + 10 ** reader.score("")
    assert total + types * 10 ** reader.score("zzz", eos=False) == pytest.approx(1.0, abs=1e-4)


def test_no_text_is_judged_by_a_model_that_read_it(tmp_path: Path) -> None:
    secret = "zebra quagga okapi " * 20
    trained(tmp_path, [*texts_of(4, 100), secret])
    half = 1 if hashlib.sha256(secret.encode()).hexdigest()[-1] in "13579bdf" else 0
    words, borders, _, _ = hashed(pl.Series([secret]))
    models = perplexity.load(tmp_path / "model")
    judges, other = (perplexity.perplexities(models[h], words, borders)[0] for h in (half, 1 - half))
    assert judges > 10 * other


def test_heldout_perplexity_is_that_of_the_scores(tmp_path: Path) -> None:
    texts = texts_of(5, 120)
    meta = trained(tmp_path, texts)
    models = perplexity.load(tmp_path / "model")
    bits = n = 0.0
    for frame in sample([tmp_path / "raw"], 1 << 20):
        for half in (0, 1):
            words, borders, _, _ = hashed(frame.filter(half=half)["text"])
            sums, _ = log_probabilities(words, borders, models[half].slots, models[half].values, 3, perplexity.SPECIAL)
            bits, n = bits - sums.sum(), n + len(words) + len(sums)
    assert meta["heldout_perplexity"] == pytest.approx(10 ** (bits / n), abs=0.006)
    assert meta["documents"] == 120


def test_shards_and_their_order_change_nothing(tmp_path: Path) -> None:
    texts = texts_of(6, 90)
    outputs = []
    for name, order, shards in (("a", texts, 1), ("b", texts[::-1], 4)):
        raw = write_raw(tmp_path / name / "raw", order, shards)
        (tmp_path / name / "model").mkdir()
        perplexity_model(
            tmp_path / name / "model", [raw], settings=PerplexitySettings(**OPTIONS | {"prune": True, "vocabulary": 9})
        )
        outputs.append({file.name: file.read_bytes() for file in (tmp_path / name / "model").iterdir()})
    assert outputs[0] == outputs[1]


def test_a_sample_is_an_even_share(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw", texts_of(7, 2000), 3)
    everything = pl.concat(sample([raw], 1 << 30))
    size = int(everything["text"].str.len_bytes().sum())
    some = pl.concat(sample([raw], size // 4))
    assert 0.2 < some["text"].str.len_bytes().sum() / size < 0.3
    assert set(some["sha256"]) < set(everything["sha256"])


@pytest.mark.parametrize("texts", [None, ["only one document"], ["", " "]])
def test_too_little_text_is_said_and_no_model_written(tmp_path: Path, texts: list[str] | None) -> None:
    (tmp_path / "model").mkdir()
    sources = [] if texts is None else [write_raw(tmp_path / "raw", texts)]
    meta = perplexity_model(tmp_path / "model", sources, settings=PerplexitySettings(**OPTIONS))
    assert meta == json.loads((tmp_path / "model/meta.json").read_text()) == {"order": 3, "trained": False}
    assert perplexity.load(tmp_path / "model") is None


def test_back_off_values_are_finite(tmp_path: Path) -> None:
    trained(tmp_path, ["a a a a a a", "b b b b", *texts_of(8, 20)], order=5)
    for model in perplexity.load(tmp_path / "model"):
        assert np.isfinite(model.values).all()
        assert math.isfinite(float(model.values.min()))
        assert len(table(np.zeros(0, np.uint64), np.zeros((0, 2), np.float32))[0]) >= 1
