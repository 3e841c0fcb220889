"""The linear classifier against a straightforward implementation, and the bits of its weights."""

import hashlib
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.linear import logistic, pair, scores, train, windows


def random_documents(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.Generator(np.random.PCG64(seed))
    lengths = random.integers(0, 60, n)
    vocabulary = random.integers(1, 1 << 64, 200, dtype=np.uint64)
    words = vocabulary[np.minimum(random.geometric(0.05, lengths.sum()), 199)]
    return words, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def features(words: list, bits: int) -> list[int]:
    singles = [int(word) >> (64 - bits) for word in words]
    pairs = [int(pair(np.uint64(b), np.uint64(a))) >> (64 - bits) for a, b in zip(words, words[1:], strict=False)]
    return singles + pairs


def test_logistic() -> None:
    for z in np.linspace(-15, 15, 4001):
        assert abs(logistic(z) - 1 / (1 + math.exp(-z))) < 1e-5
    assert logistic(-1e9) == logistic(-16.0) < 1e-6
    assert logistic(1e9) == logistic(16.0) > 1 - 1e-6


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 500), max_size=12), st.integers(1, 60))
def test_windows_cover_a_document_evenly(lengths: list[int], size: int) -> None:
    borders = np.cumsum([0, *lengths])
    spans, document = windows(borders, size)
    for i, length in enumerate(lengths):
        own = spans[document == i]
        assert len(own) == (max(1, length // size) if length else 0)
        assert np.concatenate([np.arange(a, b) for a, b in own] or [[]]).tolist() == list(
            range(borders[i], borders[i + 1])
        )
        if length >= size:
            assert np.diff(own).min() >= size
            assert np.diff(own).max() < 2 * size


def test_scores_equal_the_plain_ones() -> None:
    words, borders = random_documents(1, 40)
    random = np.random.Generator(np.random.PCG64(2))
    weights = random.normal(0, 3, 1 << 10).astype(np.float32)
    result = scores(words, borders, weights, 0.25, 16)
    spans, document = windows(borders, 16)
    for i in range(40):
        own = []
        for start, stop in spans[document == i]:
            found = features(words[start:stop].tolist(), 10)
            z = 0.25 + sum(float(weights[f]) for f in found) / len(found)
            own.append(1 / (1 + math.exp(-z)))
        if own:
            np.testing.assert_allclose(result[i], [np.mean(own), max(own)], atol=1e-5)
        else:
            assert np.isnan(result[i]).all()


def test_training_equals_adagrad_written_out() -> None:
    words, borders = random_documents(3, 30)
    spans, document = windows(borders, 8)
    labels = (document % 2).astype(np.float64)
    importance = np.where(labels == 1, 0.7, 1.5)
    weights, bias = train(words, spans, labels, importance, bits=12, epochs=3, rate=0.5)
    slow, squares, slow_bias, bias_squares = np.zeros(1 << 12), np.zeros(1 << 12), 0.0, 1e-12
    for _ in range(3):
        for (start, stop), label, factor in zip(spans, labels, importance, strict=True):
            found = features(words[start:stop].tolist(), 12)
            z = slow_bias + sum(slow[f] for f in found) / len(found)
            gradient = (1 / (1 + math.exp(-z)) - label) * factor
            bias_squares += gradient**2
            slow_bias -= 0.5 * gradient / math.sqrt(bias_squares)
            for f in found:
                squares[f] += (gradient / len(found)) ** 2
                slow[f] -= 0.5 * gradient / len(found) / math.sqrt(squares[f])
    np.testing.assert_allclose(weights, slow, atol=1e-3)
    assert abs(bias - slow_bias) < 1e-3


def test_weights_have_the_same_bits_everywhere() -> None:
    """Computed on an AMD EPYC of 2024; only + - * / and square roots are used, so any processor must agree."""
    words, borders = random_documents(4, 50)
    spans, document = windows(borders, 8)
    weights, bias = train(words, spans, (document % 2) * 1.0, np.ones(len(spans)), bits=10, epochs=2, rate=1.0)
    assert hashlib.sha256(weights.tobytes()).hexdigest()[:16] == "a26495e7bc9d18f1"
    assert bias.hex() == "0x1.198e345a03234p-1"
