from collections import Counter

import pytest

from llm.align.preferences import SPOIL, preference_pairs
from llm.align.records import length_rule
from llm.errors import InputError


def instruction(n: int) -> dict:
    words = [f"w{(n * 7 + i * i) % 53}" for i in range(8 + n % 12)]
    answer = " ".join(words) + f" end{n}."
    messages = [{"role": "user", "content": f"Question {n}?"}, {"role": "assistant", "content": answer}]
    return {"id": f"s/{n:08}#k", "source": "s", "kind": "k" if n % 2 else "j", "messages": messages}


ITEMS = [instruction(n) for n in range(60)]
ANSWERS = {item["messages"][1]["content"]: item for item in ITEMS}
COUNTS = dict.fromkeys(SPOIL, 20)


@pytest.fixture
def rows() -> list[dict]:
    return preference_pairs(ITEMS, COUNTS, 400, seed=3)


def of(rows, kind):
    return [row for row in rows if row["kind"] == kind]


def test_every_kind_does_what_its_name_says(rows):
    assert Counter(row["kind"] for row in rows) == COUNTS
    assert all(row["chosen"] in ANSWERS and row["rejected"] != row["chosen"] for row in rows)
    for row in of(rows, "irrelevant"):
        assert ANSWERS[row["rejected"]]["kind"] == ANSWERS[row["chosen"]]["kind"]
    for row in of(rows, "shuffled"):
        assert sorted(row["rejected"].split(" ")) == sorted(row["chosen"].split(" "))
    for row in of(rows, "repetitive"):
        assert len(set(row["rejected"].split(" ")[:-1])) <= 4
    for row in of(rows, "truncated"):
        assert row["chosen"].startswith(row["rejected"]) and len(row["rejected"]) < 0.75 * len(row["chosen"])
    for row in of(rows, "rambling"):
        assert row["rejected"].startswith(row["chosen"] + " ")


def test_length_alone_does_not_win(rows):
    lengths = [(len(row["chosen"]), len(row["rejected"])) for row in rows]
    assert length_rule(lengths)["best"] < 0.56
    for kind in ("shuffled", "repetitive"):
        assert all(len(row["chosen"]) == len(row["rejected"]) for row in of(rows, kind))
    near = [abs(len(row["chosen"]) - len(row["rejected"])) / len(row["chosen"]) for row in of(rows, "irrelevant")]
    assert sum(near) / len(near) < 0.15


def test_pairs_are_seeded_and_do_not_depend_on_the_order_of_the_instructions(rows):
    assert preference_pairs(ITEMS[::-1], COUNTS, 400, seed=3) == rows
    assert preference_pairs(ITEMS, COUNTS, 400, seed=4) != rows
    more = preference_pairs(ITEMS, COUNTS | {"shuffled": 30}, 400, seed=3)
    assert of(more, "shuffled")[:20] == of(rows, "shuffled")


def test_bad_requests_are_named():
    with pytest.raises(InputError, match="unknown kind 'rude'"):
        preference_pairs(ITEMS, {"rude": 1}, 400, seed=0)


def test_one_pair_is_enough_for_what_needs_no_other():
    """Of a small corpus's validation split."""
    rows = preference_pairs(ITEMS[:1], COUNTS, 400, seed=0)
    assert {row["kind"] for row in rows} <= {"shuffled", "repetitive", "truncated"}
    assert rows


def test_long_rejections_and_short_answers_are_passed_over():
    rows = preference_pairs(ITEMS, {"rambling": 60}, 90, seed=0)
    assert rows and all(len(row["rejected"]) <= 90 for row in rows)
    short = [instruction(n) for n in range(4)]
    for item in short:
        item["messages"][1]["content"] = f"tiny {item['id']}"
    assert preference_pairs(short, {"shuffled": 4, "truncated": 4, "repetitive": 4}, 90, seed=0) == []
