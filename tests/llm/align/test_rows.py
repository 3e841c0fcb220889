"""Every usual layout of alignment data gives the same conversations; what is wrong with a row is said in one line."""

import codecs
import json
from pathlib import Path

import polars as pl
import pytest

from llm.align.records import write_jsonl
from llm.align.rows import conversation, find_split, labelled, preference, rows_of
from llm.errors import InputError

USER, ASSISTANT = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
SYSTEM = {"role": "system", "content": "s"}


def test_layouts_of_conversations_agree() -> None:
    wanted = [USER, ASSISTANT]
    for row in (
        {"messages": wanted},
        {"prompt": "q", "completion": "a"},
        {"prompt": [USER], "completion": [ASSISTANT]},
        {"prompt": [USER], "completion": "a"},
    ):
        assert conversation(row, "f:1") == wanted
    turns = [SYSTEM, USER, ASSISTANT | {"weight": 0}, USER, ASSISTANT]
    assert conversation({"messages": turns}, "f:1") == turns


def test_layouts_of_preferences_agree() -> None:
    bad = {"role": "assistant", "content": "b"}
    wanted = [USER, ASSISTANT], [USER, bad], 0.0
    assert preference({"prompt": "q", "chosen": "a", "rejected": "b"}, "f:1") == wanted
    assert preference({"prompt": [USER], "chosen": [ASSISTANT], "rejected": [bad]}, "f:1") == wanted
    assert preference({"prompt": "q", "chosen": "a", "rejected": "b", "margin": 2}, "f:1")[2] == 2.0


def test_labelled_answers_come_alone_or_of_pairs() -> None:
    bad = {"role": "assistant", "content": "b"}
    assert labelled({"prompt": "q", "completion": "a", "label": False}, "f:1") == [([USER], ASSISTANT, False)]
    both = labelled({"prompt": "q", "chosen": "a", "rejected": "b"}, "f:1")
    assert both == [([USER], ASSISTANT, True), ([USER], bad, False)]


@pytest.mark.parametrize(
    ("read", "row", "line"),
    [
        (conversation, {"text": "x"}, "no prompt; the row has text"),
        (conversation, {}, "no prompt; the row has nothing"),
        (conversation, {"messages": []}, r"messages is \[\]; it should be text or a list of messages"),
        (conversation, {"messages": [USER]}, "the last message is the user's; it should be the assistant's"),
        (conversation, {"messages": [USER, {"role": "bot", "content": "x"}]}, "message 2: role 'bot' is not one of"),
        (
            conversation,
            {"messages": [USER, {"role": "assistant", "content": 3}]},
            "message 2: content is int, not text",
        ),
        (conversation, {"prompt": "q", "completion": "  "}, "completion, message 1: the assistant's answer is empty"),
        (conversation, {"messages": [USER, ASSISTANT | {"weight": 0}]}, "every answer has weight 0"),
        (conversation, {"messages": [USER, ASSISTANT | {"weight": 2}]}, "message 2: weight 2 is not 0 or 1"),
        (conversation, {"prompt": [ASSISTANT], "completion": "a"}, "prompt ends with the assistant's message"),
        (preference, {"prompt": "q", "chosen": "a"}, "no rejected; the row has chosen, prompt"),
        (preference, {"prompt": "q", "chosen": "a", "rejected": "a"}, "chosen and rejected are equal"),
        (preference, {"prompt": "q", "chosen": "a", "rejected": "a\n "}, "chosen and rejected are equal"),
        (preference, {"prompt": "q", "chosen": "a", "rejected": "b", "margin": -1}, "margin -1 is not a number of 0"),
        (
            preference,
            {"prompt": "q", "chosen": "a", "rejected": "b", "margin": 10**400},
            "margin 1000.* is not a number",
        ),
        (preference, {"prompt": "q", "chosen": [USER, ASSISTANT], "rejected": "b"}, "chosen should be text or one"),
        (labelled, {"prompt": "q", "completion": "a"}, "label None is not true or false"),
        (labelled, {"prompt": "q", "completion": "a", "label": 1}, "label 1 is not true or false"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(read, row: dict, line: str) -> None:
    with pytest.raises(InputError, match=f"^f:1: .*{line}") as caught:
        read(row, "f:1")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_what_a_row_leaves_out_may_be_null(suffix: str, tmp_path: Path) -> None:
    """A parquet file has a weight for each message as soon as one has; the others' is null."""
    rows = [
        {"messages": [USER | {"weight": None}, ASSISTANT | {"weight": 1}], "kind": None},
        {"messages": [USER | {"weight": None}, ASSISTANT | {"weight": None}], "kind": "b"},
    ]
    path = tmp_path / f"train.{suffix}"
    if suffix == "parquet":
        pl.DataFrame(rows).write_parquet(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [conversation(row, place)[0] for place, row in rows_of(path)] == [USER, USER]
    assert [row.get("kind") for _, row in rows_of(path)] == [None, "b"]


def test_odd_encodings_of_json_lines(tmp_path: Path) -> None:
    path, good = tmp_path / "a.jsonl", b'{"prompt": "q", "completion": "%s"}\n'
    path.write_bytes(codecs.BOM_UTF8 + good % b"a" + b"\r\n" + good % b"\\ud83d\\ude00 \\ud83d")
    rows = [row for _, row in rows_of(path)]
    assert [row["completion"] for row in rows] == ["a", "\U0001f600 \ufffd"]
    write_jsonl(tmp_path / "b.jsonl", rows)
    for broken in (good % b"\xff", b"[" * 100_000, b"{", (good % b"a").decode().encode("utf-16")):
        path.write_bytes(good % b"a" + broken)
        with pytest.raises(InputError, match="a.jsonl: line 2: not JSON Lines") as caught:
            list(rows_of(path))
        assert "\n" not in str(caught.value)


def test_a_column_of_no_text_is_named(tmp_path: Path) -> None:
    pl.DataFrame({"prompt": [b"q"], "completion": ["a"]}).write_parquet(tmp_path / "train.parquet")
    [(place, row)] = rows_of(tmp_path / "train.parquet")
    with pytest.raises(InputError, match="prompt is .*; it should be text or a list of messages"):
        conversation(row, place)


def test_jsonl_and_parquet_give_the_same_rows(tmp_path: Path) -> None:
    rows = [
        {"prompt": "q", "chosen": "a", "rejected": "b"},
        {"prompt": "q", "chosen": "a", "rejected": "c", "margin": 1.0},
    ]
    for name in ("one", "two", "none", "both"):
        (tmp_path / name).mkdir()
    for name in ("one", "both"):
        (tmp_path / name / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("two", "both"):
        pl.DataFrame(rows).write_parquet(tmp_path / name / "train.parquet")
    jsonl, parquet = (find_split(tmp_path / name, "train") for name in ("one", "two"))
    assert [row for _, row in rows_of(jsonl)] == [row for _, row in rows_of(parquet)] == rows
    assert [place for place, _ in rows_of(parquet)] == [f"{parquet}:1", f"{parquet}:2"]
    with pytest.raises(InputError, match="0 files of train; it should have one, train.jsonl or train.parquet"):
        find_split(tmp_path / "none", "train")
    with pytest.raises(InputError, match="2 files of train"):
        find_split(tmp_path / "both", "train")
    parquet.write_bytes(b"PAR1 no")
    with pytest.raises(InputError, match="cannot be read as parquet") as caught:
        list(rows_of(parquet))
    assert r"\n" not in str(caught.value)  # what polars says goes on for lines
    jsonl.write_text("[1]\n")
    with pytest.raises(InputError, match="train.jsonl:1: list where an object should be"):
        list(rows_of(jsonl))
