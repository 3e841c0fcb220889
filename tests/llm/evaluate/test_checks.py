"""Checks of form, each by answers that pass it and answers that do not; refusals by their phrases."""

import pytest

from llm.evaluate.checks import CHECKS, Answer, is_refusal

EOS = 2
CONTROLS = range(8)


def passes(name: str, text: str = "A good answer.", tokens: tuple[int, ...] = (9, 10, EOS), **bounds: float) -> bool:
    answer = Answer("why?", text, tokens, tokens[-1] == EOS)
    return CHECKS[name].passes(answer, CONTROLS, **bounds)


@pytest.mark.parametrize("text", ["Yes.", 'He said "no!"', "(It is so.)", "Why not?  ", "And so on…"])
def test_a_sentence_ends(text):
    assert passes("sentence", text)


@pytest.mark.parametrize("text", ["", "  ", "Yes", "It is called the", '"', "a, b,"])
def test_a_text_that_breaks_off_does_not(text):
    assert not passes("sentence", text)


def test_who_ended_it():
    assert passes("ended") and not passes("ended", tokens=(9, 10))


def test_control_tokens_are_seen_anywhere_but_at_the_end():
    assert passes("plain") and passes("plain", tokens=(9, 10))
    assert not passes("plain", tokens=(9, 6, 10, EOS))
    assert not passes("plain", tokens=(9, 10, 7))


def test_words_are_counted():
    assert passes("words", "one two three", least=3, most=3)
    assert not passes("words", "one two", least=3, most=9) and not passes("words", "a b c d", least=1, most=3)


def test_a_loop_is_repetition_and_prose_is_not():
    assert passes("repetition", "The cat that sat on the mat is the cat that I saw.", most=0.2)
    assert not passes("repetition", "it is a thing " * 10, most=0.2)
    assert passes("repetition", "too short", most=0.0)


@pytest.mark.parametrize("text", ["I’m sorry, but no.", "Well, I CANNOT do that."])
def test_refusals_are_found_by_phrases(text):
    assert is_refusal(text, ["I'm sorry", "I cannot"])


def test_an_answer_is_no_refusal():
    assert not is_refusal("Sure: the can opener is not in the drawer.", ["I'm sorry", "I cannot"])
