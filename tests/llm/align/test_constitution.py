"""Constitutions: the exact tests of checkable principles, and what a file may hold."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.align.constitution import Principle, exact_test, read_constitution
from llm.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
GOOD = """
version: 3
principles:
  brief: {critique: 'Too long?', revision: Shorter., choice: 'Which is shorter?', test: {most_words: 3}}
"""
NAMES = ["Anna", "Tom"]


def principle(test: object) -> Principle:
    return Principle("p", "c", "r", "o", test=exact_test(test, "here"))


def written(directory: Path, text: str) -> Path:
    path = directory / "constitution.yaml"
    path.write_text(text)
    return path


@given(st.text())
def test_no_digits(text):
    digits = [character for character in text if character.isdecimal()]
    assert principle("no_digits").follows(text) == (bool(text.strip()) and not digits)
    assert not principle("no_digits").follows(f"{text}7") and not principle("no_digits").follows(f"{text}\u0667")


@given(st.text(), st.text(alphabet=" \n\t"))
def test_ends_with_question(text, space):
    assert principle("ends_with_question").follows(f"{text}?{space}")
    assert not principle("ends_with_question").follows(f"{text}?{space}.")


@given(st.lists(st.text(alphabet="ab.?7", min_size=1)), st.integers(1, 8))
def test_most_words(words, most):
    assert principle({"most_words": most}).follows("  ".join(words)) == (0 < len(words) <= most)


@given(st.text(alphabet="xyz 7_-.'"), st.text(alphabet=" 7_-.'!", max_size=3), st.sampled_from(NAMES))
def test_no_word_of(text, space, name):
    rule = principle({"no_word_of": NAMES})
    assert rule.follows(text) == bool(text.strip())
    assert not rule.follows(f"{text} {name}{space}") and not rule.follows(f"{name}'s {text}")
    assert rule.follows(f"x{name}{space}") and rule.follows(f"{name}x {text}") and rule.follows(name.lower())


@pytest.mark.parametrize("test", ["no_digits", "ends_with_question", {"most_words": 3}, {"no_word_of": NAMES}])
@pytest.mark.parametrize("nothing", ["", "  \n"])
def test_an_empty_answer_follows_nothing(test, nothing):
    assert not principle(test).follows(nothing)


def test_the_checkable_constitution():
    found = read_constitution(ROOT / "constitutions/checkable.yaml")
    assert found.tested == found.principles and len(found.principles) == 4
    good, bad = "Is bread not made of flour?", "In 1851 Anna " + "wrote " * 18 + "it."
    assert set(found.results(good).values()) == {True} and set(found.results(bad).values()) == {False}
    topics = {split: {row["id"].split("#")[0] for row in rows} for split, rows in found.prompts.items()}
    assert topics["train"].isdisjoint(topics["validation"])
    assert {split: len(rows) for split, rows in found.prompts.items()} == {"train": 128, "validation": 32}
    assert not any("{" in row["prompt"] for rows in found.prompts.values() for row in rows)


def test_the_natural_constitution():
    found = read_constitution(ROOT / "constitutions/natural.yaml")
    assert len(found.principles) >= 8 and not found.tested and not found.prompts
    assert all(each.critique and each.revision and each.choice for each in found.principles)


def test_a_file_of_ones_own(tmp_path):
    found = read_constitution(written(tmp_path, GOOD))
    assert found.version == 3 and found["brief"].follows("one two three") and not found["brief"].follows("1 2 3 4")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version: 1\nprinciples: {}", "no principles; write at least one"),
        ("- a\n- b", "no principles; write at least one"),
        ("principles: {a: [", "cannot be read as YAML"),
        ("version: 2024-13-01", "cannot be read as YAML .month must be in"),
        (GOOD + "prompts: [a, b, c, d, e, b]", "prompts: 'b' stands there twice"),
        (GOOD + "prompts: ['{topic}?']\ntopics: [a, b, c, d, e, a]", "topics: 'a' stands there twice"),
        (GOOD.replace("version: 3", "versoin: 3"), "unknown key versoin"),
        (GOOD.replace("version: 3", "version: new"), "version: 'new' is not a whole number"),
        (GOOD.replace("choice", "choose"), "principles.brief: unknown key choose"),
        (GOOD.replace("'Too long?'", "''"), "principles.brief.critique: '' is no text"),
        (GOOD.replace("most_words", "most_letters"), "there is no test 'most_letters'"),
        (GOOD.replace("{most_words: 3}", "[no_digits]"), "there is no test"),
        (GOOD.replace("{most_words: 3}", "most_words"), "most_words takes a number of words, 1 or more, not None"),
        (GOOD.replace("{most_words: 3}", "{most_words: true}"), "takes a number of words, 1 or more, not True"),
        (GOOD.replace("{most_words: 3}", "{no_word_of: []}"), r"no_word_of takes a list of words, not \[\]"),
        (GOOD + "prompts: [1, 2]", "prompts is no list of texts"),
        (GOOD + "prompts: [a]\ntopics: [b, c, d, e, f]", "no {topic}, though there are topics"),
        (GOOD + "prompts: [a, b]", "give at least 5, every fifth is held out"),
    ],
)  # fmt: skip
def test_what_is_no_constitution_is_refused_in_one_line(text, message, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        read_constitution(written(tmp_path, text))
    assert "\n" not in str(caught.value) and "constitution.yaml" in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none.yaml: cannot be read as YAML"):
        read_constitution(tmp_path / "none.yaml")
