"""The CPU twin is bit-equal to its definition written out in plain Python, and estimates as well as theory says."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import minhash
from tests.kernels.minhash_parts import minima, shingles

MASK = (1 << 64) - 1


def buffers(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    encoded = [text.encode() for text in texts]
    offsets = np.concatenate([[0], np.cumsum([len(text) for text in encoded])]).astype(np.int64)
    return np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets


def scalar_mix(x: int) -> int:
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def scalar_tokens(text: str) -> list[bytes]:
    found: list[bytearray] = []
    inside = False
    for byte in text.encode():
        byte = ord(chr(byte).lower()) if byte < 0x80 else byte
        word = byte >= 0x80 or chr(byte).isalnum() or byte == ord("_")
        if byte >= 0xE3 or (word and not inside):
            found.append(bytearray())
        if word:
            found[-1].append(byte)
        inside = word
    return [bytes(token) for token in found]


def scalar_shingles(text: str, words: int) -> list[int]:
    hashes = []
    for token in scalar_tokens(text):
        h = 0
        for byte in token:
            h = (h * int(minhash.BYTE_BASE) + byte) & MASK
        hashes.append(scalar_mix(h))
    result = []
    for i in range(max(len(hashes) - words + 1, min(len(hashes), 1))):
        s = 0
        for h in hashes[i : i + words]:
            s = (s * int(minhash.TOKEN_BASE) + h) & MASK
        result.append(scalar_mix(s))
    return result


def scalar_signature(text: str, a: np.ndarray, b: np.ndarray, words: int) -> list[int]:
    x = [s >> 32 for s in scalar_shingles(text, words)]
    return [
        min([(int(p) * v + int(q)) % (1 << 32) for v in x], default=(1 << 32) - 1) for p, q in zip(a, b, strict=True)
    ]


EDGES = [
    "",
    " ",
    "one",
    "One TWO three",
    "a b c d e",
    "a b c d e f",
    "naïve café — “quoted”",
    "中文没有空格。真的",
    "x中y文",
    "👍🏽 emoji 👨‍👩‍👧",
    "\0nul\0",
    "no\nnew\r\nline\ttab",
    "same same same same same same same",
    "_under_score9",
    "é",
    "ÿ\u3000z",
]


def assert_equal_to_definition(texts: list[str], words: int = 5) -> None:
    a, b = minhash.coefficients(7, seed=3)
    data, offsets = buffers(texts)
    hashes, shingle_offsets = shingles(data, offsets, words)
    for i, text in enumerate(texts):
        assert hashes[shingle_offsets[i] : shingle_offsets[i + 1]].tolist() == scalar_shingles(text, words), repr(text)
    expected = [scalar_signature(text, a, b, words) for text in texts]
    assert minhash.signatures(data, offsets, a, b, words).tolist() == expected


def test_bit_equal_on_edges() -> None:
    assert_equal_to_definition(EDGES)
    assert_equal_to_definition(EDGES[::-1], words=1)
    assert_equal_to_definition([])
    assert_equal_to_definition([""])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet=st.sampled_from("ab Z9_.\n\0é中文👍—"), max_size=60), max_size=6), st.integers(1, 6))
def test_bit_equal_on_any_text(texts: list[str], words: int) -> None:
    assert_equal_to_definition(texts, words)


def test_bit_equal_on_long_documents_and_tokens() -> None:
    assert_equal_to_definition(["word " * 300 + "x" * 200, *EDGES, " ".join(f"w{i}" for i in range(500))])


def test_a_document_does_not_depend_on_its_neighbours() -> None:
    a, b = minhash.coefficients(16, seed=0)
    together = minhash.signatures(*buffers(["first text here", "second", "third one"]), a, b)
    alone = minhash.signatures(*buffers(["second"]), a, b)
    assert together[1].tolist() == alone[0].tolist()


def test_estimate_of_jaccard_is_as_good_as_theory() -> None:
    """RMSE over pairs of known similarity against sqrt(mean J(1-J) / permutations)."""
    permutations, n_pairs, n = 112, 400, 300
    a, b = minhash.coefficients(permutations, seed=1)
    generator = np.random.Generator(np.random.PCG64(5))
    values = generator.integers(0, 1 << 32, size=(n_pairs, 2 * n), dtype=np.uint32)
    shared = generator.integers(0, n, size=n_pairs)
    sets = []
    for i in range(n_pairs):
        sets += [values[i, :n], np.concatenate([values[i, : shared[i]], values[i, n : 2 * n - shared[i]]])]
    offsets = np.arange(2 * n_pairs + 1, dtype=np.int64) * n
    result = minima(np.concatenate(sets), offsets, a, b)
    estimate = (result[0::2] == result[1::2]).mean(axis=1)
    truth = shared / (2 * n - shared)
    rmse = float(np.sqrt(np.mean((estimate - truth) ** 2)))
    theory = float(np.sqrt(np.mean(truth * (1 - truth)) / permutations))
    assert 0.85 * theory < rmse < 1.15 * theory
