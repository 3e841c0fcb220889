"""Words of text are those of the definition, written out in plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.words import words

MASK = (1 << 64) - 1


def buffers(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    encoded = [text.encode() for text in texts]
    offsets = np.concatenate([[0], np.cumsum([len(text) for text in encoded])]).astype(np.int64)
    return np.frombuffer(b"".join(encoded), np.uint8), offsets


def scalar_words(text: str) -> list[str]:
    """Rules 1 to 4 on characters."""
    found, before = [], ""
    for character in text:
        point = ord(character)
        if point < 0x21 or point in (0x7F, 0xA0, 0x3000):
            before = ""
            continue
        if (point < 0x80 and character.isalnum()) or 0xC0 <= point < 0x2000:
            character = "0" if point < 0x80 and character.isdigit() else character
            character = character.lower() if point < 0x80 else character
            if before == "word":
                found[-1] += character
            else:
                found.append(character)
            before = "word"
        elif point < 0x80:
            if before != character:
                found.append(character)
            before = character
        else:
            found.append(character)
            before = ""
    return found


def scalar_hash(word: str) -> int:
    h = 0
    for byte in word.encode():
        h = (h * 0x9E3779B97F4A7C15 + byte) & MASK
    h = ((h ^ (h >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    h = ((h ^ (h >> 27)) * 0x94D049BB133111EB) & MASK
    return h ^ (h >> 31)


def check(texts: list[str]) -> None:
    hashes, borders, spans = words(*buffers(texts))
    expected = [scalar_words(text) for text in texts]
    assert np.diff(borders).tolist() == [len(found) for found in expected]
    assert hashes.tolist() == [scalar_hash(word) for found in expected for word in found]
    data = "".join(texts).encode()
    for (start, stop), word in zip(spans.tolist(), (word for found in expected for word in found), strict=True):
        assert scalar_words(data[start:stop].decode()) == [word]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \t\n\x0b\u00a0\u3000", []),
        ("Don't stop", ["don", "'", "t", "stop"]),
        ("In 1998-99, ...!!", ["in", "0000", "-", "00", ",", ".", "!"]),
        ("Œuvre ÄÖ", ["Œuvre", "ÄÖ"]),
        ("“curly”—dash…", ["“", "curly", "”", "—", "dash", "…"]),
        ("日本語 ok 😀😀", ["日", "本", "語", "ok", "😀", "😀"]),
        ("a«b»", ["a", "«", "b", "»"]),
        ("हिन्दी", ["हिन्दी"]),
        ("snake_case", ["snake", "_", "case"]),
    ],
)
def test_examples(text: str, expected: list[str]) -> None:
    assert scalar_words(text) == expected
    check([text])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40), max_size=5))
def test_equals_the_definition(texts: list[str]) -> None:
    check(texts)


def test_documents_are_independent() -> None:
    hashes, borders, _ = words(*buffers(["left", "", "right ", "left right"]))
    assert borders.tolist() == [0, 1, 1, 2, 4]
    assert hashes[:2].tolist() == hashes[2:].tolist()
