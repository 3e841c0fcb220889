"""Data that others wrote: brought to the usual layouts, checked, and no prompt on two sides."""

import json
import zipfile
from pathlib import Path

import polars as pl
import pytest

from llm.align.conversations import read_pairs
from llm.align.given import asked, dealt, layout_of, texts_of, usual
from llm.align.near_prompts import near_groups, varying
from llm.align.prompts import read_prompts
from llm.align.records import read_jsonl
from llm.align.settings.given import GivenSettings
from llm.errors import InputError
from scripts.align.given import main
from tests.llm.align.conftest import ByteTokenizer


def test_bigbench_s_items_become_pairs_and_conversations() -> None:
    scores = {"No.": 0, "Perhaps.": 0.5, "Yes.": 1}
    assert usual({"input": "Is it?", "target_scores": scores}, "x", "honest") == {
        "prompt": "Is it?", "chosen": "Yes.", "rejected": "No.", "kind": "honest",
    }  # fmt: skip
    for target in ("Five.", ["Five.", "5."]):
        row = usual({"input": "2 + 3?", "target": target}, "x", "sums")
        assert row == {"prompt": "2 + 3?", "completion": "Five.", "kind": "sums"}
    row = {"prompt": "a?", "chosen": "b", "rejected": "c", "kind": "own", "margin": 2}
    assert usual(row, "x", "file") == row, "what is in a usual layout stays"


@pytest.mark.parametrize(
    ("item", "line"),
    [
        ({"input": "a?", "target_scores": {"b": 1}}, "s: 3: target_scores prefers no answer; leave the item out"),
        ({"input": "a?", "target_scores": {"b": 1, "c": 1}}, "s: 3: target_scores prefers no answer"),
        ({"input": "a?", "target_scores": ["b"]}, "s: 3: target_scores is ['b']; it should have a number"),
        ({"input": "a?", "target": ""}, "s: 3: completion, message 1: the assistant's answer is empty"),
        ({"target": "b"}, "s: 3: prompt is null; it should be text or a list of messages"),
        ({"prompt": "a?", "chosen": "b", "rejected": "b"}, "s: 3: chosen and rejected are equal"),
        ({"prompt": "a?", "rejected": "b"}, "s: 3: no chosen; the row has kind, prompt, rejected"),
        ({"question": "a?"}, "s: 3: no prompt; the row has kind, question"),
    ],
)
def test_what_is_no_item_is_said_in_one_line(item: dict, line: str) -> None:
    with pytest.raises(InputError) as error:
        usual(item, "s: 3", "k")
    assert str(error.value).startswith(line) and "\n" not in str(error.value)


def rows(n: int) -> list[tuple[str, dict]]:
    """Pairs, three to a prompt, whose case and spaces differ."""
    prompts = ("What is {}?", "what  is {}?", "WHAT IS {}? ")
    return [
        (f"row {i}", {"prompt": prompts[i % 3].format(i // 3), "chosen": f"good {i}", "rejected": "bad", "kind": "k"})
        for i in range(n)
    ]


def test_no_prompt_is_on_two_sides_and_equal_items_are_counted() -> None:
    train, validation, counts = dealt([*rows(300), *rows(6)], 0.2, None, 1)
    assert (len(train) + len(validation), counts) == (300, {"equal": 6, "alike": 0, "groups": 0})
    assert not {asked(row) for row in train} & {asked(row) for row in validation}
    assert 30 <= len(validation) <= 90 and len(validation) % 3 == 0
    assert dealt(rows(300), 0.2, None, 2)[1] != validation, "another seed"
    assert dealt(reversed(rows(300)), 0.2, None, 1)[1] != [], "the order of the files does not matter to the sides"


def near_rows() -> list[tuple[str, dict]]:
    """Of each of 40 prompts of 12 words four: as it is, a word replaced, a word more, other marks and a word twice."""
    found = []
    for number in range(40):
        words = [f"w{number * 12 + place}" for place in range(12)]
        forms = (
            words,
            [*words[:5], "other", *words[6:]],
            [*words[:3], "more", *words[3:]],
            [f"{w}," for w in words] * 2,
        )
        found += [
            (f"row {number}.{form}", {"prompt": " ".join(told), "completion": f"{number} {form}", "kind": "k"})
            for form, told in enumerate(forms)
        ]
    return found


def test_prompts_that_are_alike_are_on_one_side_and_counted() -> None:
    def numbers(side: list[dict]) -> set[str]:
        return {row["completion"].split()[0] for row in side}

    train, validation, counts = dealt(near_rows(), 0.3, None, 1)
    assert counts == {"equal": 0, "alike": 160, "groups": 40}
    assert len(train) + len(validation) == 160 and not numbers(train) & numbers(validation)
    train, validation, counts = dealt(near_rows(), 0.3, None, 1, near=None)
    assert counts == {"equal": 0, "alike": 0, "groups": 0} and len(numbers(train) & numbers(validation)) > 10
    assert dealt(reversed(near_rows()), 0.3, None, 1)[1] == dealt(near_rows(), 0.3, None, 1)[1]


def test_a_task_s_instructions_make_no_prompts_alike() -> None:
    """Nor do marks without words, or numbers in a template."""
    told = "Say whether the number that follows is one that can be divided by two and by no other, and answer shortly."
    prompts = [f"{told} Is {n} such a number?" for n in range(50)] + ["( [ ] )", "( [", "[[ ]]"]
    kinds = ["numbers"] * 50 + ["marks"] * 3
    assert near_groups(prompts, kinds, 0.8) == list(range(53))
    assert varying(prompts, kinds)[:2] == ["0", "1"] and varying(prompts, kinds)[50:] == prompts[50:]
    assert near_groups([told, f"{told} Well?"], ["few", "few"], 0.8) == [0, 0], "two prompts are no template"
    assert near_groups([], [], 0.8) == []
    other = [f"Name {n}." for n in range(9)]
    assert near_groups([*prompts, *other], [*kinds, *["names"] * 9], 0.8) == list(range(62)), "3 is no prompt"
    assert near_groups([told, f"Well, {told}"], ["one", "another"], 0.8) == [0, 0], "kinds do not matter"


def test_a_limit_keeps_the_first_of_one_order() -> None:
    def found(limit: int | None) -> list[list[str]]:
        return [[row["chosen"] for row in side] for side in dealt(rows(300), 0.2, limit, 1)[:2]]

    everything, some = found(None), found(60)
    assert sum(map(len, some)) == 60
    assert all(few == many[: len(few)] for few, many in zip(some, everything, strict=True))


def test_layouts_are_not_mixed_and_no_side_is_empty() -> None:
    asks = ("row 4", {"prompt": "a?", "kind": "k"})
    with pytest.raises(InputError, match="row 4: one of prompts among preferences"):
        dealt([*rows(6), asks], 0.5, None, 0)
    with pytest.raises(InputError, match="of 1 items 1 are for training and 0 for validation"):
        dealt([asks], 1e-9, None, 0)


def test_all_texts_of_a_row_are_looked_through() -> None:
    told = [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "b"}]
    assert list(texts_of({"messages": told, "kind": "k"})) == ["a?", "b"]
    assert list(texts_of({"prompt": told[:1], "chosen": "b", "rejected": told[1:]})) == ["a?", "b", "b"]
    assert asked({"messages": told}) == "a?" == asked({"prompt": " A? "})
    assert layout_of({"messages": told})[0] == "conversations" and layout_of({"prompt": "a?"})[0] == "prompts"


HELD = "the quick brown fox jumps over the lazy dog and then it runs away from here at once"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A zip of a task of BIG-bench, a parquet of pairs, a text of prompts."""
    scores = [{"input": f"Is {n} odd?", "target_scores": {"It is.": n % 2, "No.": 1 - n % 2}} for n in range(40)]
    scores.append({"input": f"Repeat: {HELD}", "target_scores": {"It is.": 1, "No.": 0}})
    pairs = pl.DataFrame(
        [{"prompt": f"Name {n}.", "chosen": f"N{n}", "rejected": "x", "label": None} for n in range(9)]
    )
    pairs.write_parquet(tmp_path / "pairs.parquet")
    with zipfile.ZipFile(tmp_path / "given.zip", "w") as file:
        file.writestr("tasks/odd/task.json", json.dumps({"name": "odd", "examples": scores}))
        file.write(tmp_path / "pairs.parquet", "more/pairs.parquet")
        sums = {"task_prefix": "Add.", "examples": [{"input": f"{n} + 1", "target": [str(n + 1)]} for n in range(20)]}
        file.writestr("tasks/sums.json", json.dumps(sums))
        file.writestr("ask.txt", "".join(f"How do I do {n}?\n\n" for n in range(30)))
        file.writestr("bad.jsonl", '{"prompt": "a?"}\n{"prompt": "b?", "chosen": "c"}\n')
    (tmp_path / "held").mkdir()
    pl.DataFrame({"text": [f"It begins so: {HELD}."]}).write_parquet(tmp_path / "held/part-00000.parquet")
    (tmp_path / "data").mkdir()
    return tmp_path / "given.zip"


def take(archive: Path, *include: str, **changes: object) -> dict:
    settings = {"source": "own", "include": list(include), "held_out": 0.3, "seed": 0, "ngram": 13, "min_words": 8}
    told = GivenSettings(**settings | {"min_hits": 1} | changes)
    return main(archive, archive.parent / "data", [archive.parent / "held"], settings=told)


def test_a_source_s_files_become_what_methods_read(archive: Path) -> None:
    found = take(archive, "**/task.json", "**/*.parquet")
    data = archive.parent / "data"
    rows = [row for split in ("train", "validation") for row in read_jsonl(data / f"{split}.jsonl")]
    assert found["layout"] == "preferences" and found["items"] == 50 and len(rows) == 49
    assert found["contaminated"] == 1 and found["evaluations"]["held"]["items_found"] == 1
    assert not [row for row in rows if HELD in row["prompt"]]
    kinds = {"odd": 40, "pairs": 9}
    assert {kind: sum(found[split]["by_kind"][kind] for split in ("train", "validation")) for kind in kinds} == kinds
    pairs, _ = read_pairs(data / "train.jsonl", ByteTokenizer(), 100)
    assert len(pairs) == found["train"]["items"]


def test_what_a_task_asks_stands_before_each_item(archive: Path) -> None:
    assert take(archive, "tasks/sums.json")["layout"] == "conversations"
    row = read_jsonl(archive.parent / "data/train.jsonl")[0]
    number = int(row["completion"]) - 1
    assert row == {"prompt": f"Add.\n\n{number} + 1", "completion": str(number + 1), "kind": "sums"}


def test_each_line_of_a_text_is_a_prompt(archive: Path) -> None:
    assert take(archive, "ask.txt")["layout"] == "prompts"
    prompts, _ = read_prompts(archive.parent / "data/validation.jsonl", ByteTokenizer(), 100)
    assert all(prompt.text.startswith("How do I do ") and prompt.kind == "ask" for prompt in prompts)


@pytest.mark.parametrize(
    ("include", "line"),
    [
        ("none/*", "own has no file like none/\\*; correct `include`"),
        ("bad.jsonl", "own: bad.jsonl: item 2: no rejected; the row has chosen, kind, prompt"),
        ("more/*.parquet", "own: more/pairs.parquet is no parquet"),
    ],
)
def test_files_that_are_not_there_or_broken_are_named(archive: Path, include: str, line: str) -> None:
    if "parquet" in line:
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("more/pairs.parquet", "PAR1 is how it begins")
    with pytest.raises(InputError, match=line):
        take(archive, include)
