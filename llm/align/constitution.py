"""Reads a constitution: principles by which a model is asked to criticise, revise and compare answers. A principle may
have an exact test, by which it is known whether the model was right.

    version: 1
    principles:
      brief:
        critique: Is your answer longer than twenty words? Say Yes or No.     (yes_breaks: false, where No means so)
        revision: Write your answer again in less than twenty words.
        choice: Which answer is shorter?
        test: {most_words: 20}
    prompts: [Tell me about {topic}.]                      (or none: those of the instructions)
    topics: [tea, chess]
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm.errors import InputError
from llm.io.yaml import read_yaml

Test = Callable[[str], bool]
REQUESTS = ("critique", "revision", "choice")
KEYS = (*REQUESTS, "test", "yes_breaks")
TOPIC = "{topic}"
HELD_OUT = 5  # every so many-eth topic is for validation
WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Principle:
    """critique, revision, choice: what a model is asked. yes_breaks: does a critique that begins with Yes say that the
    answer breaks the principle? test: does an answer follow it? None: nothing but a judgement says so."""

    name: str
    critique: str
    revision: str
    choice: str
    yes_breaks: bool = True
    test: Test | None = None

    def follows(self, answer: str) -> bool:
        """Does an answer follow the principle, by its exact test? An empty answer follows none."""
        assert self.test is not None
        return bool(answer.strip()) and self.test(answer)


@dataclass(frozen=True)
class Constitution:
    """prompts: of its own, by split, as {"id", "prompt"}; empty where it has none."""

    version: int
    principles: tuple[Principle, ...]
    prompts: dict[str, list[dict]]

    def __getitem__(self, name: str) -> Principle:
        return next(principle for principle in self.principles if principle.name == name)

    @property
    def tested(self) -> tuple[Principle, ...]:
        """The principles that have an exact test."""
        return tuple(principle for principle in self.principles if principle.test is not None)

    def results(self, answer: str) -> dict[str, bool]:
        """Return which of the tested principles an answer follows."""
        return {principle.name: principle.follows(answer) for principle in self.tested}


def no_digits(argument: None) -> Test:
    """No character is a decimal digit of any script."""
    return lambda answer: not any(map(str.isdecimal, answer))


def ends_with_question(argument: None) -> Test:
    """The last character, white space aside, is a question mark."""
    return lambda answer: answer.rstrip().endswith("?")


def most_words(argument: int) -> Test:
    """There are at most so many words between white space."""
    return lambda answer: len(answer.split()) <= argument


def no_word_of(argument: list[str]) -> Test:
    """No run of letters is one of these words, as they are spelled."""
    words = frozenset(argument)
    return lambda answer: words.isdisjoint(WORD.findall(answer))


# Name -> what makes the test of its argument, and what the argument has to be.
TESTS: dict[str, tuple[Callable[[Any], Test], Callable[[Any], bool], str]] = {
    "no_digits": (no_digits, lambda value: value is None, "nothing"),
    "ends_with_question": (ends_with_question, lambda value: value is None, "nothing"),
    "most_words": (most_words, lambda value: type(value) is int and value > 0, "a number of words, 1 or more"),
    "no_word_of": (no_word_of, lambda value: is_texts(value) and bool(value), "a list of words"),
}


def read_constitution(path: Path) -> Constitution:
    """Read a file. Raises InputError, which names the file and the place, where it is no constitution."""
    found = read_yaml(path)
    if not isinstance(found, dict) or not isinstance(found.get("principles"), dict) or not found["principles"]:
        raise InputError(f"{path}: no principles; write at least one below `principles:`, as docs/align.md shows")
    unknown = sorted(map(str, set(found) - {"version", "principles", "prompts", "topics"}))
    if unknown:
        raise InputError(f"{path}: unknown key {unknown[0]}; known are version, principles, prompts, topics")
    if type(found.get("version")) is not int:
        raise InputError(f"{path}: version: {found.get('version')!r} is not a whole number; write one")
    principles = (principle_of(str(name), value, str(path)) for name, value in found["principles"].items())
    return Constitution(found["version"], tuple(principles), prompts_of(found, str(path)))


def principle_of(name: str, value: object, path: str) -> Principle:
    """Make a principle. Raises InputError."""
    place = f"{path}: principles.{name}"
    if not isinstance(value, dict):
        raise InputError(f"{place}: {value!r} is no mapping; it needs {', '.join(REQUESTS)}")
    unknown = sorted(map(str, set(value) - set(KEYS)))
    if unknown:
        raise InputError(f"{place}: unknown key {unknown[0]}; known are {', '.join(KEYS)}")
    for key in REQUESTS:
        if not isinstance(value.get(key), str) or not value[key].strip():
            raise InputError(f"{place}.{key}: {value.get(key)!r} is no text; write what the model is asked")
    yes_breaks = value.get("yes_breaks", True)
    if not isinstance(yes_breaks, bool):
        raise InputError(f"{place}.yes_breaks: {yes_breaks!r} is not true or false")
    test = exact_test(value["test"], f"{place}.test") if "test" in value else None
    critique, revision, choice = (value[key].strip() for key in REQUESTS)
    return Principle(name, critique, revision, choice, yes_breaks, test)


def exact_test(value: object, place: str) -> Test:
    """Make an exact test of its name, or of {name: argument}. Raises InputError."""
    name, argument = next(iter(value.items())) if isinstance(value, dict) and len(value) == 1 else (value, None)
    if not isinstance(name, str) or name not in TESTS:
        raise InputError(f"{place}: there is no test {name!r}; known are {', '.join(TESTS)}")
    make, fits, wanted = TESTS[name]
    if not fits(argument):
        raise InputError(f"{place}: {name} takes {wanted}, not {argument!r}")
    return make(argument)


def prompts_of(found: dict, path: str) -> dict[str, list[dict]]:
    """Return each prompt with each topic, by split. Prompts of one topic are in one split."""
    for key in ("prompts", "topics"):
        if not is_texts(found.get(key, [])):
            raise InputError(f"{path}: {key} is no list of texts; put numbers and the like into quotation marks")
    prompts, topics = found.get("prompts", []), found.get("topics", [])
    for key, texts in (("prompts", prompts), ("topics", topics)):
        if len(set(texts)) < len(texts):
            raise InputError(f"{path}: {key}: {max(texts, key=texts.count)!r} stands there twice; take one out")
    if topics and not all(TOPIC in prompt for prompt in prompts):
        raise InputError(f"{path}: prompts: one has no {TOPIC}, though there are topics; add it, or leave topics out")
    each = [(topic, [prompt.replace(TOPIC, topic) for prompt in prompts]) for topic in topics]
    each = each or [(prompt, [prompt]) for prompt in prompts]
    if prompts and len(each) < HELD_OUT:
        raise InputError(f"{path}: {len(each)} topics or prompts; give at least {HELD_OUT}, every fifth is held out")
    splits: dict[str, list[dict]] = {"train": [], "validation": []}
    for number, (topic, texts) in enumerate(each, 1):
        split = "train" if number % HELD_OUT else "validation"
        splits[split] += [{"id": f"{topic}#{place}", "prompt": text} for place, text in enumerate(texts)]
    return splits if prompts else {}


def is_texts(value: object) -> bool:
    """Is it a list of texts, none of them blank?"""
    return isinstance(value, list) and all(isinstance(each, str) and each.strip() for each in value)
