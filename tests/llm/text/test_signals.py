"""Every signal equals a straightforward implementation with str.split, Counter and sets."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.text import signals as subject


def ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else 0.0


def repeats(items: list[str]) -> list[str]:
    seen: set[str] = set()
    again = []
    for item in items:
        if item in seen:
            again.append(item)
        seen.add(item)
    return again


def reference(text: str) -> dict[str, float]:
    words = text.split()
    stripped = [line.strip() for line in text.split("\n")]
    lines = [line for line in stripped if line]
    paragraphs: list[list[str]] = [[]]
    position = 0
    for raw, line in zip(text.split("\n"), stripped, strict=True):
        if line:
            begin = position + len(raw) - len(raw.lstrip())
            paragraphs[-1].append((begin, begin + len(line)))
        else:
            paragraphs.append([])
        position += len(raw) + 1
    blocks = [text[block[0][0] : block[-1][1]] for block in paragraphs if block]
    result = {
        "n_chars": len(text),
        "n_words": len(words),
        "mean_word_length": ratio(sum(map(len, words)), len(words)),
        "symbol_to_word_ratio": ratio(text.count("#") + text.count("...") + text.count("…"), len(words)),
        "alpha_word_ratio": ratio(sum(any(c.isalpha() for c in word) for word in words), len(words)),
        "stop_word_count": len(set(subject.STOP_WORDS) & {word.lower() for word in words}),
        "unique_word_ratio": ratio(len(set(words)), len(words)),
        "digit_char_ratio": ratio(sum(c in "0123456789" for c in text), len(text)),
        "n_lines": len(lines),
        "max_line_length": max(map(len, lines), default=0),
        "bullet_line_ratio": ratio(sum(line[0] in subject.BULLETS for line in lines), len(lines)),
        "ellipsis_line_ratio": ratio(sum(line.endswith(("...", "…")) for line in lines), len(lines)),
        "terminal_line_ratio": ratio(sum(line[-1] in subject.TERMINAL for line in lines), len(lines)),
        "short_line_ratio": ratio(sum(len(line) < 30 for line in lines), len(lines)),
        "newline_to_word_ratio": ratio(text.count("\n"), len(words)),
        "sentence_count": sum(word[-1] in ".!?。！？" for word in words),
        "curly_bracket_count": text.count("{") + text.count("}"),
        "lorem_ipsum_count": text.lower().count("lorem ipsum"),
        "duplicate_line_ratio": ratio(len(repeats(lines)), len(lines)),
        "duplicate_line_char_ratio": ratio(sum(map(len, repeats(lines))), len(text)),
        "duplicate_paragraph_ratio": ratio(len(repeats(blocks)), len(blocks)),
        "duplicate_paragraph_char_ratio": ratio(sum(map(len, repeats(blocks))), len(text)),
    }
    for n in range(2, 11):
        ngrams = [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]
        if n in subject.TOP_NGRAMS:
            [(top, count)] = Counter(ngrams).most_common(1) or [("", 0)]
            result[f"top_{n}gram_char_ratio"] = ratio(len(top) * count, len(text))
        else:
            seen: set[str] = set()
            covered: set[int] = set()
            for i, ngram in enumerate(ngrams):
                if ngram in seen:
                    covered |= set(range(i, i + n))
                seen.add(ngram)
            result[f"duplicate_{n}gram_char_ratio"] = ratio(sum(len(words[i]) for i in covered), len(text))
    return result


EDGES = [
    "",
    " ",
    "\n",
    "\n\n\n",
    "one",
    "no newline at all",
    "one\ntwo\n\nthree\n",
    "the The THE be",
    "...",
    "....",
    "...... …\n#",
    "- a bullet\n* another\n  • third\nplain",
    "ends...\nends…\nends.",
    "a b " * 30,
    "a b c d e f g h i j k " * 4,
    "line one\nline one\n\nline one\n\n  line one  \nx",
    "中文没有空格。真的\n中文没有空格。真的",
    "👍🏽 👨‍👩‍👧 👍🏽 👨‍👩‍👧",
    "\0 \0 a\0b",
    "é ü 1234 x1",
    "word " * 3000,
    "x" * 5000,
    "tab\tvertical\x0bfeed\x0cnbsp\u00a0wide\u3000end",
    "crlf\r\nline\r\n\r\ncrlf\r\nline\r\n",
    "Lorem Ipsum {dolor} lorem ipsum }",
    "a\u2028b\u2028a",
    "to be\nwith{}that have\nof and",
    "TO @e tHat",
]


def assert_equal_to_reference(texts: list[str]) -> None:
    found = subject.signals(texts)
    assert tuple(found) == subject.SIGNALS
    for i, text in enumerate(texts):
        got = {name: values[i].item() for name, values in found.items()}
        assert got == reference(text), repr(text[:100])


def test_edges() -> None:
    assert_equal_to_reference(EDGES)
    assert_equal_to_reference([])
    for text in EDGES:
        assert_equal_to_reference([text])


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "CHUNK", 20)
    assert_equal_to_reference(EDGES)


TEXT = st.text(alphabet=st.sampled_from("aab  \n\n.{#-…T中é\0\u00a0"), max_size=120)
REPETITIVE = st.lists(st.sampled_from(["a", "bb", "the", "x.", "\n", "\n\n", "• c"]), max_size=80).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(TEXT, REPETITIVE), max_size=5))
def test_any_text(texts: list[str]) -> None:
    assert_equal_to_reference(texts)


def test_real_text() -> None:
    """This file and the module it tests, whole and in pieces."""
    texts = []
    for path in (__file__, subject.__file__):
        text = Path(path).read_text(encoding="utf-8")
        texts += [text, *text.split("\n\n")]
    assert_equal_to_reference(texts)


def test_a_huge_line_does_not_crash() -> None:
    found = subject.signals(["word " * 600_000])
    assert found["n_words"].tolist() == [600_000]
    assert np.isclose(found["duplicate_10gram_char_ratio"][0], 0.8, atol=1e-4)
