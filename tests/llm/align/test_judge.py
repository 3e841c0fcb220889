"""Choice log-probabilities: what the judge is shown, that they are the model's own, and that both orders cancel what a
position adds."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llm.align.critiques import Speaker
from llm.align.judge import Comparison, Verdict, verdicts
from tests.llm.align.conftest import ByteTokenizer
from tests.llm.align.toy import random_model

PAIR = Comparison("Which?", "Why {x}?", "one", "[EOS] two")
FLOATS = st.floats(-50, 0)


def speaker() -> Speaker:
    return Speaker(random_model(), ByteTokenizer())


def shown(first: str, second: str) -> list[int]:
    text = f"Which?\n\nQuestion: Why {{x}}?\n\nAnswer A: {first}\n\nAnswer B: {second}\n\nSay A or B."
    tokens = ByteTokenizer
    return [tokens.bos, tokens.user, *(byte + 8 for byte in text.encode()), tokens.assistant]


def test_log_probabilities_are_the_model_s_in_both_orders():
    found = verdicts(speaker(), [PAIR, Comparison("W", "p", "a", "b")])
    assert found[0] is not None and found[1] is not None
    model = random_model()
    for order, sides in ((("one", "[EOS] two"), found[0].straight), (("[EOS] two", "one"), found[0].turned)):
        with torch.no_grad():
            last = model(torch.tensor([shown(*order)]))[0, -1].log_softmax(-1)
        expected = [last[8 + ord(letter)].item() for letter in "AB"]
        assert sides == pytest.approx(expected, abs=1e-5)


def test_other_comparisons_beside_change_no_byte():
    others = [Comparison("W", f"p{n}", "a" * n, "b") for n in range(5)]
    assert verdicts(speaker(), [PAIR, *others])[0] == verdicts(speaker(), [PAIR])[0]


def test_turning_the_answers_round_turns_the_verdict_round():
    one, other = verdicts(speaker(), [PAIR, Comparison(PAIR.choice, PAIR.prompt, PAIR.second, PAIR.first)])
    assert one is not None and other is not None
    assert (one.straight, one.turned) == (other.turned, other.straight)
    assert one.log_odds == -other.log_odds and one.bias == other.bias


@given(FLOATS, FLOATS, FLOATS, FLOATS, st.floats(-9, 9))
def test_what_a_position_adds_is_cancelled(a, b, c, d, bias):
    """A judge that finds A likelier, whoever stands there."""
    plain, biased = Verdict((a, b), (c, d)), Verdict((a + bias, b), (c + bias, d))
    assert biased.log_odds == pytest.approx(plain.log_odds, abs=1e-9)
    assert biased.bias == pytest.approx(plain.bias + bias, abs=1e-9)


def test_a_judge_that_sees_positions_alone_prefers_nobody():
    verdict = Verdict((-0.1, -2.0), (-0.1, -2.0))
    assert verdict.log_odds == 0 and not verdict.consistent and verdict.bias == pytest.approx(1.9)


def test_a_pair_too_long_for_the_context_gets_no_verdict():
    assert verdicts(speaker(), [Comparison("W", "p" * 90, "a", "b"), PAIR])[0] is None
