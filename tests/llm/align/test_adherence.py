"""Adherence: shares of answers that follow each principle, by hand, and prompts that leave no room."""

import pytest

from llm.align.adherence import answered, figures
from llm.align.constitution import Constitution, Principle, exact_test
from llm.align.critiques import Question, Speaker
from llm.align.settings.constitution import AdherenceSettings
from tests.llm.align.conftest import ByteTokenizer
from tests.llm.align.toy import random_model

CONSTITUTION = Constitution(
    1,
    (
        Principle("digits", "c", "r", "o", test=exact_test("no_digits", "here")),
        Principle("asks", "c", "r", "o", test=exact_test("ends_with_question", "here")),
        Principle("kind", "c", "r", "o"),
    ),
    {},
)
SETTINGS = AdherenceSettings(temperature=1.0, max_new_tokens=4, samples=3, held_out=9, seed=1)


class Bytes(ByteTokenizer):
    def decode(self, ids: list[int]) -> str:
        return bytes(i - 8 for i in ids if i >= 8).decode("latin-1")


def test_shares_by_hand():
    """Of the first prompt's answers 2 of 2 have no digit and 1 asks, of the second 1 of 2 and none."""
    rows = [{"answers": ["a", "b?"]}, {"answers": ["7", "c"]}, {"answers": []}]
    found = figures(rows, CONSTITUTION)
    assert found["follows_by_principle"] == {"digits": 0.75, "asks": 0.25}
    assert found["follows"] == 0.5 and found["follows_error"] == pytest.approx(0.25)
    assert (found["prompts"], found["too_long"], found["empty"], found["words"]) == (2, 1, 0, 1.0)


def test_an_empty_answer_is_counted_and_follows_nothing():
    found = figures([{"answers": ["", "a?"]}], CONSTITUTION)
    assert found["empty"] == 1 and found["follows"] == 0.5


def test_a_prompt_without_room_is_counted_and_others_stay_as_they_are():
    """The answers to a prompt are its own, whatever stands beside it."""
    questions = [
        Question(name, [{"role": "user", "content": text}]) for name, text in (("a", "x" * 125), ("b", "Why?"))
    ]
    both = answered(Speaker(random_model(), Bytes()), questions, SETTINGS)
    assert both[0]["answers"] == [] and len(both[1]["answers"]) == 3
    assert answered(Speaker(random_model(), Bytes()), questions[1:], SETTINGS) == both[1:]
    assert len(set(both[1]["answers"])) > 1
