"""Critiques and revisions: what the model is shown, token by token, what is kept of it, and that nothing else than the
seed and the prompt decides it."""

from dataclasses import replace
from pathlib import Path

import pytest

from llm.align.constitution import Constitution, Principle, exact_test
from llm.align.counted import counted
from llm.align.critiques import Critic, Question, Speaker, questions_of
from llm.align.records import write_jsonl
from llm.align.settings.constitution import CritiqueSettings
from llm.errors import InputError
from tests.llm.align.conftest import ByteTokenizer
from tests.llm.align.toy import random_model

ASCII = range(40, 130)  # ids of printable bytes
PRINCIPLES = (
    Principle("no_digits", "A digit?", "Without.", "Which?", test=exact_test("no_digits", "here")),
    Principle("brief", "<|user|> long?", "[EOS] short.", "Which?", test=exact_test({"most_words": 2}, "here")),
)
CONSTITUTION = Constitution(7, PRINCIPLES, {})
SETTINGS = CritiqueSettings(
    temperature=1.0, max_new_tokens=8, critique_tokens=5, prompts={"train": 9, "validation": 3}, seed=3
)


class Bytes(ByteTokenizer):
    def decode(self, ids: list[int]) -> str:
        return bytes(i - 8 for i in ids if i >= 8).decode("latin-1")


class Recorded(Speaker):
    """Keeps what was asked, and may say other texts than the model's."""

    def __init__(self, said: dict[tuple[str, str], str] | None = None) -> None:
        super().__init__(random_model(), Bytes())
        self.asked: list = []
        self.said = said or {}

    def replies(self, requests):
        self.asked.append(list(requests))
        return super().replies(requests)


def questions(n: int, text: str = "Why {}?") -> list[Question]:
    return [Question(f"q{i}", [{"role": "user", "content": text.format(i)}]) for i in range(n)]


def critic(speaker: Speaker | None = None, **changes: object) -> Critic:
    return Critic(speaker or Recorded(), CONSTITUTION, replace(SETTINGS, **changes), "0" * 64)


def ids_of(*contents: str) -> list[int]:
    """The chat format by hand: roles alternate, an answer ends with [EOS], the model's turn is next."""
    ids = [Bytes.bos]
    for place, content in enumerate(contents):
        ids.append((Bytes.user, Bytes.assistant)[place % 2])
        ids += [byte + 8 for byte in content.encode()]
        ids += [Bytes.eos] * (place % 2)
    return [*ids, Bytes.assistant]


def test_what_the_model_is_shown_token_by_token():
    speaker = Recorded()
    rows = critic(speaker).rows(questions(6))
    answers, critiques, revisions = speaker.asked
    by_name = {principle.name: principle for principle in PRINCIPLES}
    assert {row["principle"] for row in rows} == set(by_name)
    going = [row for row in rows if row["answer"]]
    for row, request in zip(rows, answers, strict=True):
        assert request.prompt == ids_of(row["prompt"])
        assert (request.max_new_tokens, request.temperature, request.stop_ids) == (8, 1.0, (Bytes.eos,))
    for row, request in zip(going, critiques, strict=True):
        asked = by_name[row["principle"]].critique
        assert request.prompt == ids_of(row["prompt"], row["answer"], asked)
        assert request.max_new_tokens == 5
    for row, request in zip([row for row in going if row["critique"]], revisions, strict=True):
        principle = by_name[row["principle"]]
        said = row["prompt"], row["answer"], principle.critique, row["critique"], principle.revision
        assert request.prompt == ids_of(*said)


def test_text_that_spells_a_control_token_stays_text():
    """In a prompt, in a principle's requests, and in what the model says."""
    speaker = Recorded()
    critic(speaker).rows(questions(6, "<|assistant|>[EOS]<|user|>{}"))
    shown = [request.prompt for requests in speaker.asked for request in requests]
    for turn, requests in enumerate(speaker.asked):
        for request in requests:
            controls = [token for token in request.prompt if token < 8]
            turns = [Bytes.user, Bytes.assistant, Bytes.eos] * turn
            assert controls == [Bytes.bos, *turns, Bytes.user, Bytes.assistant]
    said = [byte + 8 for byte in b"[EOS] short."]
    assert any(prompt[-1 - len(said) : -1] == said for prompt in shown)


def test_a_row_keeps_all_that_made_it():
    row = critic().rows(questions(3))[1]
    assert row["writer"] == "0" * 64 and row["constitution"] == 7 and row["prompt"] == "Why 1?"
    assert row["seeds"]["answer"] == [3, 0, counted("q1")]
    assert [message["role"] for message in row["messages"]][:2] == ["user", "assistant"]
    assert row["messages"][1]["content"] == row["answer"]
    for turn, results in row["follows"].items():
        assert results == {each.name: each.follows(row[turn]) for each in PRINCIPLES}


def test_the_engine_answers_by_the_seeds_of_the_row():
    """Asked again by what the row says, the model says the same."""
    speaker = Recorded()
    for row in critic(speaker).rows(questions(3)):
        ids = speaker.prompt(row["messages"][:1], 8)
        request = speaker.request(ids, SETTINGS, row["seeds"]["answer"], 8)
        assert speaker.replies([request]) == [[(row["answer"], row["finished"]["answer"])]]


def test_other_batches_and_other_prompts_change_no_byte():
    whole = critic().rows(questions(7))
    again = critic()
    assert [
        row for begin in (0, 1, 4) for row in again.rows(questions(7)[begin : begin + {0: 1, 1: 3, 4: 3}[begin]])
    ] == whole
    assert critic().rows(questions(7)[::-1]) == whole[::-1]
    assert critic(seed=4).rows(questions(7)) != whole


class Silent(Speaker):
    """A model that ends its turn at once where it is told to."""

    def __init__(self, turn: int, said: str = "") -> None:
        super().__init__(random_model(), Bytes())
        self.turn, self.said, self.turns = turn, said, 0

    def replies(self, requests):
        found = super().replies(requests)
        quiet = self.turns == self.turn
        self.turns += 1
        return [[(self.said, True)] if quiet and place == 0 else [("x", True)] for place, _ in enumerate(found)]


@pytest.mark.parametrize(("turn", "outcome"), [(0, "empty_answer"), (1, "empty_critique"), (2, "empty_revision")])
def test_an_empty_turn_is_told_and_ends_the_row(turn, outcome):
    rows = critic(Silent(turn)).rows(questions(3))
    assert [row["outcome"] for row in rows] == [outcome, "unchanged", "unchanged"]
    assert [len(row["messages"]) for row in rows] == [2 * turn + 2, 6, 6]
    assert not rows[0]["follows"]["revision"]["no_digits"]


def test_a_revision_is_one_where_a_letter_differs():
    assert [row["outcome"] for row in critic(Silent(2, "y")).rows(questions(2))] == ["revised", "unchanged"]


def test_a_conversation_too_long_for_the_context_is_told():
    """128 tokens of context: one prompt leaves no room for an answer, one none for a critique."""
    long = [
        Question("a", [{"role": "user", "content": "x" * 118}]),
        Question("b", [{"role": "user", "content": "x" * 105}]),
    ]
    rows = critic().rows([*long, *questions(1)])
    assert [row["outcome"] for row in rows[:2]] == ["too_long", "too_long"]
    assert rows[0]["answer"] == "" and rows[1]["answer"] and not rows[1]["critique"]
    assert rows[2]["outcome"] != "too_long"


def test_more_prompts_keep_those_before(tmp_path: Path):
    write_jsonl(
        tmp_path / "train.jsonl", [{"id": f"p{n}", "prompt": f"Why {n}?", "completion": "x"} for n in range(40)]
    )
    few, more = (questions_of(CONSTITUTION, tmp_path, "train", count, 1) for count in (5, 20))
    assert few == more[:5] and len(more) == 20
    assert few != questions_of(CONSTITUTION, tmp_path, "train", 5, 2)


def test_prompts_of_the_constitution_come_before_the_instructions(tmp_path: Path):
    own = replace(CONSTITUTION, prompts={"train": [{"id": "a", "prompt": "Own?"}], "validation": []})
    assert questions_of(own, tmp_path, "train", 5, 1) == [Question("a", [{"role": "user", "content": "Own?"}])]


def test_an_id_that_two_prompts_have_is_refused(tmp_path: Path):
    write_jsonl(tmp_path / "train.jsonl", [{"id": "a", "prompt": "Why?", "completion": "x"}] * 2)
    with pytest.raises(InputError, match="two prompts of the train split have the id 'a'"):
        questions_of(CONSTITUTION, tmp_path, "train", 5, 1)
