"""A linear classifier of hashed words and word pairs: training and scoring on plain arrays.

The logit of a window of n words is the bias plus the mean of the weights of its words and of its pairs of neighbours,
each found by the upper bits of its hash (fastText's features: Joulin et al. 2016, Bag of Tricks for Efficient Text
Classification). With `root` it is their sum over the root of their number, as if the features had length 1.
A document of n words has max(1, n // size) windows, as even as can be: none is much shorter than those of the
training, so a document's length says nothing.

Training is logistic regression by AdaGrad (Duchi et al. 2011), window after window in the order given. The logistic
function is read from a table whose entries are rounded, all else is + - * / and square roots of float64: the weights
have the same bits on every processor.
"""

import numpy as np

from kernels.jit import jit
from kernels.splitmix import mix64

STEP = np.uint64(0xD6E8FEB86659FD93)
RANGE = 16.0  # larger logits count as this
PER_UNIT = 64
LOGISTIC = np.round(1 / (1 + np.exp(-np.arange(-RANGE, RANGE + 2 / PER_UNIT, 1 / PER_UNIT))), 12)


def windows(borders: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the windows of documents, words [start, stop): i64 [n_windows, 2], and their documents i64 [n_windows].

    borders i64 [n_documents + 1]: where each document's words begin.
    """
    n_words = np.diff(borders)
    n_windows = np.where(n_words > 0, np.maximum(1, n_words // size), 0)
    document = np.repeat(np.arange(len(n_words)), n_windows)
    index = np.arange(len(document)) - np.repeat(np.cumsum(n_windows) - n_windows, n_windows)
    bounds = [borders[document] + (index + more) * n_words[document] // n_windows[document] for more in (0, 1)]
    return np.stack(bounds, axis=1), document


def train(
    words: np.ndarray,
    windows: np.ndarray,
    labels: np.ndarray,
    importance: np.ndarray,
    *,
    bits: int,
    epochs: int,
    rate: float,
    decay: float = 0.0,
    root: bool = False,
) -> tuple[np.ndarray, float]:
    """Train; return weights f64 [2^bits] and the bias.

    words u64 [n_words]: hashes; windows i64 [n, 2]: in the order of training; labels f64 [n]: 0 or 1; importance f64
    [n]: factors of the gradient; rate: AdaGrad's step; decay: the part of a weight that its gradient grows by.
    """
    weights = np.zeros(1 << bits)
    bias = descend(
        words, windows, labels, importance, weights, np.zeros(1 << bits), 64 - bits, epochs, rate, decay, root
    )
    return weights, bias


def scores(
    words: np.ndarray, borders: np.ndarray, weights: np.ndarray, bias: float, size: int, root: bool = False
) -> np.ndarray:
    """Return the probabilities of class 1, f64 [n_documents, 2]: the mean and the highest of a document's windows; NaN
    where it has no words. weights f32 or f64 [2^bits]; size: words in a window."""
    result = np.full((len(borders) - 1, 2), np.nan)
    score(words, borders, weights, bias, size, 65 - len(weights).bit_length(), root, result)
    return result


@jit
def logistic(z):
    """Return the logistic function by linear interpolation, with an error below 1e-5."""
    place = (min(max(z, -RANGE), RANGE) + RANGE) * PER_UNIT
    i = np.int64(place)
    return LOGISTIC[i] + (place - i) * (LOGISTIC[i + 1] - LOGISTIC[i])


@jit
def pair(word, before):
    return mix64(word * STEP + before)


@jit
def features(start, stop, root):
    """Return what the sum of the weights is divided by."""
    n = 2.0 * (stop - start) - 1
    return np.sqrt(n) if root else n


@jit
def summed(words, start, stop, weights, shift):
    shift = np.uint64(shift)
    total = weights[words[start] >> shift] * 1.0
    for i in range(start + 1, stop):
        total += weights[words[i] >> shift]
        total += weights[pair(words[i], words[i - 1]) >> shift]
    return total


@jit
def descend(words, windows, labels, importance, weights, squares, shift, epochs, rate, decay, root):
    bias = 0.0
    bias_squares = 1e-12
    wide = np.uint64(shift)
    for _ in range(epochs):
        for k in range(len(windows)):
            start, stop = windows[k, 0], windows[k, 1]
            n = features(start, stop, root)
            error = logistic(bias + summed(words, start, stop, weights, shift) / n) - labels[k]
            gradient = error * importance[k]
            bias_squares += gradient * gradient
            bias -= rate * gradient / np.sqrt(bias_squares)
            gradient /= n
            for i in range(start, stop):
                step(weights, squares, words[i] >> wide, gradient, rate, decay)
                if i > start:
                    step(weights, squares, pair(words[i], words[i - 1]) >> wide, gradient, rate, decay)
    return bias


@jit
def step(weights, squares, place, gradient, rate, decay):
    own = gradient + decay * weights[place]
    squares[place] += own * own + 1e-30
    weights[place] -= rate * own / np.sqrt(squares[place])


@jit
def score(words, borders, weights, bias, size, shift, root, result):
    for document in range(len(borders) - 1):
        begin, n_words = borders[document], borders[document + 1] - borders[document]
        if n_words == 0:
            continue
        n = max(1, n_words // size)
        total = highest = 0.0
        for window in range(n):
            start, stop = begin + window * n_words // n, begin + (window + 1) * n_words // n
            p = logistic(bias + summed(words, start, stop, weights, shift) / features(start, stop, root))
            total += p
            highest = max(highest, p)
        result[document, 0] = total / n
        result[document, 1] = highest
