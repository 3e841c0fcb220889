"""Every signal equals a straightforward implementation with str.split, Counter and sets."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.characters import BULLETS, TERMINALS
from kernels.phrases import POLICIES, STOP_WORDS
from llm.process.quality.signal_names import SIGNALS
from llm.process.quality.signals import signals

CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")  # of C4's code


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


def lower(text: str) -> str:
    return text.encode().lower().decode()  # A to Z only


def has_long_word(line: str) -> bool:
    return any(len(word) > 1000 for word in line.split())


def speaks_of_policy(line: str) -> bool:
    return any(phrase in lower(line) for phrase in POLICIES)


def c4_sentences(line: str) -> int:
    """Sentences of a line that C4's code keeps, 0 if it drops it."""
    if has_long_word(line):
        return 0
    line = CITATION.sub("", line)
    if not line.endswith((".", "?", "!", '"')) or line.endswith("...") or len(line.split()) < 5:
        return 0
    if "javascript" in lower(line) or speaks_of_policy(line):
        return 0
    return 1 + sum(word[-1] in ".!?。！？" for word in line.split()[:-1])


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
        "symbol_to_word_ratio": ratio(max(text.count("#"), text.count("...") + text.count("…")), len(words)),
        "alpha_word_ratio": ratio(sum(any(c.isalpha() for c in word) for word in words), len(words)),
        "stop_word_count": len(set(STOP_WORDS) & {word.lower() for word in words}),
        "unique_word_ratio": ratio(len(set(words)), len(words)),
        "digit_char_ratio": ratio(sum(c in "0123456789" for c in text), len(text)),
        "n_lines": len(lines),
        "max_line_length": max(map(len, lines), default=0),
        "bullet_line_ratio": ratio(sum(line[0] in BULLETS for line in lines), len(lines)),
        "ellipsis_line_ratio": ratio(sum(line.endswith(("...", "…")) for line in lines), len(lines)),
        "terminal_line_ratio": ratio(sum(line[-1] in TERMINALS for line in lines), len(lines)),
        "short_line_ratio": ratio(sum(len(line) < 30 for line in lines), len(lines)),
        "newline_to_word_ratio": ratio(text.count("\n"), len(words)),
        "sentence_count": sum(word[-1] in ".!?。！？" for word in words),
        "curly_bracket_count": text.count("{"),
        "lorem_ipsum_count": text.lower().count("lorem ipsum"),
        "under_3_words_line_ratio": ratio(sum(len(line.split()) < 3 for line in lines), len(lines)),
        "under_5_words_line_ratio": ratio(sum(len(line.split()) < 5 for line in lines), len(lines)),
        "long_word_line_ratio": ratio(sum(has_long_word(line) for line in lines), len(lines)),
        "javascript_line_ratio": ratio(sum("javascript" in lower(line) for line in lines), len(lines)),
        "policy_line_ratio": ratio(sum(speaks_of_policy(line) for line in lines), len(lines)),
        "c4_line_ratio": ratio(sum(c4_sentences(line) > 0 for line in lines), len(lines)),
        "c4_sentence_count": sum(map(c4_sentences, lines)),
        "duplicate_line_ratio": ratio(len(repeats(lines)), len(lines)),
        "duplicate_line_char_ratio": ratio(sum(map(len, repeats(lines))), len(text)),
        "duplicate_paragraph_ratio": ratio(len(repeats(blocks)), len(blocks)),
        "duplicate_paragraph_char_ratio": ratio(sum(map(len, repeats(blocks))), len(text)),
    }
    for n in range(2, 11):
        ngrams = [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]
        if n in (2, 3, 4):
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
    "Read our Terms of Use and more of it. Yes.\nWe use cookies on this page.\nEnable JavaScript to see this page.",
    "One with two marks at its end.[1][edit]\nA sentence with one behind its end. [2]\nOne more java[3]script is it.",
    'He said "this is one line." And so did "she."\nThis one ends in dots so it goes...\nfour words are few.\n[1] a b.',
    "x" * 1001 + " is a very long word indeed.\n" + "y" * 1000 + " is not quite so long though.",
    "[citation needed] here is what it says here.\nthe[citation needed]se join up to give four words.",
    "}: a face }\n{",
    "xlorem ipsum lorem  ipsum LOREM IPSUMS",
    "midterms of usenet, cookie policy",
    "the\u2003be\u2028to\x1cof\x85and",
]


def assert_equal_to_reference(texts: list[str]) -> None:
    found = signals(pl.Series(texts, dtype=pl.String))
    assert tuple(found) == SIGNALS
    for i, text in enumerate(texts):
        got = {name: values[i].item() for name, values in found.items()}
        assert got == reference(text), repr(text[:100])


def test_edges() -> None:
    assert_equal_to_reference(EDGES)
    assert_equal_to_reference([])
    for text in EDGES:
        assert_equal_to_reference([text])


ANY = st.characters(exclude_categories=["Cs"])
PIECES = st.sampled_from(
    ["a", "bb", "the", "x.", "\n", "\n\n", "• c", "...", "…", "[1]", "[٣]", "[edit]", "[citation needed]", "[", "]",
     "#", "JavaScript", "java", "script", *POLICIES, "lorem ipsum", "Lorem", "ipsum", "cookies", '"', ".",
     "one two three four", "w" * 1001, "é", "中。", "\u2028", "\u3000", "\0", "{", "\r", "\x85"]
)  # fmt: skip
TEXT = st.text(alphabet=st.sampled_from("aab  \n\n.{#-…T中é\0\u00a0"), max_size=120)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            TEXT,
            st.text(alphabet=ANY, max_size=60),
            st.lists(PIECES, max_size=40).map(" ".join),
            st.lists(st.one_of(PIECES, st.just(" ")), max_size=40).map("".join),
        ),
        max_size=5,
    )
)
def test_any_text(texts: list[str]) -> None:
    assert_equal_to_reference(texts)


def test_every_character() -> None:
    """Each code point that a text may hold, as a word's part, as a word and between words."""
    points = [point for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    for begin in range(0, len(points), 1 << 16):
        characters = [chr(point) for point in points[begin : begin + (1 << 16)]]
        assert_words("".join(f"a{character}b" for character in characters))
        assert_words(" ".join(characters))


def assert_words(text: str) -> None:
    found = {name: values[0].item() for name, values in signals(pl.Series([text])).items()}
    words = text.split()
    assert found["n_chars"] == len(text)
    assert found["n_words"] == len(words)
    assert found["unique_word_ratio"] == len(set(words)) / len(words)
    assert found["alpha_word_ratio"] == sum(any(c.isalpha() for c in word) for word in words) / len(words)
    assert found["max_line_length"] == max(len(line.strip()) for line in text.split("\n"))


def test_documents_do_not_touch_each_other() -> None:
    together = signals(pl.Series(EDGES))
    for i, text in enumerate(EDGES):
        alone = signals(pl.Series([text]))
        assert all(together[name][i] == alone[name][0] for name in SIGNALS)


def test_real_text() -> None:
    """Files of this project, whole and in pieces: prose, code and configuration."""
    root = Path(__file__).parents[4]
    texts = []
    for path in (Path(__file__), root / "docs/engine.md", root / "config.yaml", root / "llm/collect/formats/html.py"):
        text = path.read_text(encoding="utf-8")
        texts += [text, *text.split("\n\n")]
    assert_equal_to_reference(texts)


@pytest.mark.parametrize("word", ["word ", "w", "word.\n", "\n"])
def test_huge_documents(word: str) -> None:
    n = 3_000_000 // len(word)
    found = {name: values[0].item() for name, values in signals(pl.Series([word * n])).items()}
    assert found["n_chars"] == n * len(word)
    assert found["n_words"] == {"word ": n, "w": 1, "word.\n": n, "\n": 0}[word]
    if word == "word ":
        assert np.isclose(found["duplicate_10gram_char_ratio"], 0.8, atol=1e-4)
