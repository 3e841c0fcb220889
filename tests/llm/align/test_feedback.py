"""Training data of critiques and revisions, and the figures that say how good they are beside their random controls."""

import pytest

from llm.align.constitution import Constitution, Principle, exact_test
from llm.align.feedback import (
    agreement,
    averaged,
    conversations,
    figures,
    followed,
    pairs,
    preference_figures,
    says_broken,
)
from llm.align.settings.constitution import FeedbackSettings

DIGITS = Principle("digits", "Digit?", "Without.", "Which?", test=exact_test("no_digits", "here"))
ASKS = Principle("asks", "Question?", "Ask.", "Which?", yes_breaks=False, test=exact_test("ends_with_question", "here"))
CONSTITUTION = Constitution(1, (DIGITS, ASKS), {})
NATURAL = Constitution(1, (Principle("kind", "c", "r", "o"),), {})


def row(principle: str, answer: str, critique: str = "Yes", revision: str = "x", outcome: str = "revised") -> dict:
    name = f"{principle}/{answer}/{critique}/{revision}"
    said = [("user", "Why?"), ("assistant", answer), ("user", "c"), ("assistant", critique), ("user", "r")]
    return {
        "id": name,
        "principle": principle,
        "prompt": "Why?",
        "answer": answer,
        "critique": critique,
        "revision": revision,
        "messages": [{"role": role, "content": text} for role, text in [*said, ("assistant", revision)]],
        "outcome": outcome,
        "seeds": {"answer": [1, 0, 5]},
        "writer": "w",
        "constitution": 1,
        "follows": {"answer": CONSTITUTION.results(answer), "revision": CONSTITUTION.results(revision)},
    }


def told(**changes: object) -> FeedbackSettings:
    return FeedbackSettings(**{"labels": "principles", "prefer": "revised", "seed": 1} | changes)


@pytest.mark.parametrize(
    ("critique", "digits", "asks"),
    [
        ("Yes, a 7.", True, False),
        ("no", False, True),
        ("**No**.", False, True),
        ("The answer is yes.", None, None),
        ("Yesterday", None, None),
        ("7", None, None),
    ],
)
def test_what_a_critique_says(critique, digits, asks):
    assert (says_broken(DIGITS, critique), says_broken(ASKS, critique)) == (digits, asks)


def test_figures_of_critiques_by_hand():
    """Of four answers by `digits` two are broken; the critiques say Yes, Yes, No, nothing: right of the first, wrong of
    the second, right of the third. Dealt out anew: (2 Yes x 2 broken + 1 No x 2 whole) / 16."""
    rows = [row("digits", "7"), row("digits", "a"), row("digits", "b", "No"), row("digits", "8", "Well")]
    found = figures([*rows, row("asks", "a", "No"), row("asks", "a?", "Yes")], CONSTITUTION)
    of_digits, of_asks = found["by_principle"]["digits"], found["by_principle"]["asks"]
    assert (of_digits["critiques"], of_digits["unclear"]) == (4, 1)
    assert (of_digits["critique_accuracy"], of_digits["critique_accuracy_random"]) == (0.5, 6 / 16)
    assert (of_asks["critique_accuracy"], of_asks["critique_accuracy_random"]) == (1.0, 0.5)
    assert (found["critique_accuracy"], found["critique_accuracy_random"]) == (0.75, (6 / 16 + 0.5) / 2)
    assert found["critique_accuracy_error"] == pytest.approx((0.25 / 4) ** 0.5 / 2)


def test_figures_of_revisions_by_hand():
    """Answers that break `digits`: revised by it two (one mended), by the other principle three (one mended); an empty
    revision mends nothing."""
    rows = [
        row("digits", "7", revision="a"),
        row("digits", "8", revision="9"),
        row("asks", "7a", revision="8?"),
        row("asks", "7b", revision="", outcome="empty_revision"),
        row("asks", "7c", revision="c"),
        row("digits", "", critique="", revision="", outcome="empty_answer"),
    ]
    found = figures(rows, CONSTITUTION)
    of_digits = found["by_principle"]["digits"]
    assert (of_digits["broken"], of_digits["revision_success"]) == (2, 0.5)
    assert (of_digits["broken_others"], of_digits["revision_success_random"]) == (3, 1 / 3)
    assert found["revision_success"] == (0.5 + 1 / 3) / 2
    assert found["revision_success_random"] == (1 / 3 + 0) / 2
    assert found["outcomes"] == {"revised": 4, "empty_revision": 1, "empty_answer": 1} and found["prompts"] == 6
    assert found["revised"] == 4 / 6


def test_a_principle_without_a_control_is_not_in_the_mean():
    """No answer that breaks `digits` was revised by the other principle."""
    rows = [row("digits", "7?", revision="a"), row("asks", "a", revision="b?"), row("digits", "b", revision="c")]
    found = figures(rows, CONSTITUTION)
    assert (found["by_principle"]["digits"]["broken"], found["by_principle"]["digits"]["broken_others"]) == (1, 0)
    assert (found["revision_success"], found["revision_success_random"]) == (1.0, 0.0)
    assert found["revision_success"] == found["by_principle"]["asks"]["revision_success"]


def test_a_critic_that_always_says_yes_is_no_better_than_chance():
    found = figures([row("digits", text) for text in ("7", "8", "9", "a")], CONSTITUTION)
    assert found["critique_accuracy"] == found["critique_accuracy_random"] == 0.75


def test_a_constitution_without_tests_has_counts_alone():
    rows = [row("kind", "a") | {"follows": {}}]
    assert figures(rows, NATURAL) == {"prompts": 1, "outcomes": {"revised": 1}, "revised": 1.0}
    assert preference_figures(pairs(rows, NATURAL, {}, told())[0], NATURAL)["pairs"] == 1
    assert followed([("kind", "a")], NATURAL) == {}


def test_a_pair_keeps_what_made_it_and_others_are_counted():
    rows = [
        row("digits", "7", revision="a"),
        row("asks", "b", outcome="unchanged"),
        row("asks", "c", outcome="too_long"),
    ]
    found, left_out = pairs(rows, CONSTITUTION, {}, told())
    assert left_out == {"unchanged": 1, "too_long": 1}
    assert found == [
        {
            "id": rows[0]["id"],
            "principle": "digits",
            "kind": "digits",
            "prompt": [{"role": "user", "content": "Why?"}],
            "chosen": "a",
            "rejected": "7",
            "preferred": "revision",
            "requests": {"critique": "Digit?", "revision": "Without."},
            "seeds": {"answer": [1, 0, 5]},
            "writer": "w",
            "constitution": 1,
        }
    ]


def test_who_is_preferred():
    rows = [row("digits", "7", revision=text) for text in "abcd"]
    odds = {rows[0]["id"]: 0.5, rows[1]["id"]: -0.5, rows[2]["id"]: 0.0}
    chosen = {}
    for prefer in ("revised", "judged", "agreed"):
        found, left_out = pairs(rows, CONSTITUTION, {} if prefer == "revised" else odds, told(prefer=prefer))
        chosen[prefer] = [pair["preferred"] for pair in found], left_out
    assert chosen["revised"] == (["revision"] * 4, {})
    assert chosen["judged"] == (["revision", "answer"], {"undecided": 1, "not_judged": 1})
    assert chosen["agreed"] == (["revision"], {"not_agreed": 1, "undecided": 1, "not_judged": 1})


def test_random_labels_are_coins_of_the_same_pairs():
    rows = [row("digits", "7", revision=f"a{'b' * n}") for n in range(400)]
    true, random = (pairs(rows, CONSTITUTION, {}, told(labels=labels))[0] for labels in ("principles", "random"))
    assert [{pair["chosen"], pair["rejected"]} for pair in true] == [
        {pair["chosen"], pair["rejected"]} for pair in random
    ]
    assert preference_figures(true, CONSTITUTION)["preference_accuracy"] == 1.0
    assert abs(preference_figures(random, CONSTITUTION)["preference_accuracy"] - 0.5) < 0.1
    assert random == pairs(rows, CONSTITUTION, {}, told(labels="random"))[0]
    assert random != pairs(rows, CONSTITUTION, {}, told(labels="random", seed=2))[0]
    learned = [conversations(rows, labels, 1) for labels in ("principles", "random")]
    shares = [
        followed([(each["principle"], each["messages"][-1]["content"]) for each in found], CONSTITUTION)
        for found in learned
    ]
    assert shares[0]["follows"] == 1.0 and abs(shares[1]["follows"] - 0.5) < 0.1


def test_preference_accuracy_is_of_pairs_that_the_test_tells_apart():
    rows = [row("digits", "7", revision="a"), row("digits", "a", revision="b"), row("digits", "c", revision="8")]
    found = preference_figures(pairs(rows, CONSTITUTION, {}, told())[0], CONSTITUTION)
    assert (found["pairs"], found["decided"], found["preference_accuracy"]) == (3, 2, 0.5)
    assert found["preference_accuracy_random"] == 0.5


def test_instruction_data_is_the_question_and_the_revision():
    rows = [
        row("digits", "7", revision="a"),
        row("asks", "b", outcome="empty_revision"),
        row("asks", "b", outcome="unchanged"),
    ]
    found = conversations(rows, "principles", 1)
    assert [each["messages"] for each in found] == [
        [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": text}] for text in ("a", "x")
    ]
    assert {"seeds", "writer", "principle", "constitution"} <= found[0].keys()


def test_a_judge_is_held_to_the_exact_test():
    rows = [row("digits", "7", revision="a"), row("digits", "b", revision="8"), row("digits", "a", revision="b")]
    odds = {rows[0]["id"]: 1.0, rows[1]["id"]: 1.0, rows[2]["id"]: 1.0}
    assert agreement(rows, CONSTITUTION, odds) | {"accuracy_error": 0} == {
        "accuracy": 0.5, "accuracy_error": 0, "decided": 2,
    }  # fmt: skip


def test_each_principle_has_the_same_weight():
    assert averaged("share", [(1.0, 100), (0.5, 4)])["share"] == 0.75
    assert averaged("share", []) == {"share": 0.0, "share_error": 0.0}
