"""A suite as it is written becomes questions; what is wrong in it is said in one line that names the place."""

import json
import tarfile
from pathlib import Path

import pytest
import yaml

from llm.errors import InputError
from llm.evaluate.read_suite import read_suite
from llm.evaluate.suite import Question, Suite, as_json, from_json
from tests.golden import ROOT

ITEMS = [{"prompt": f"{n} then", "answer": str(n + 1)} for n in range(6)]
CHOICE = {"name": "c", "kind": "choice", "items": [{"prompt": "p", "choices": ["x", "y"], "answer": 1}]}


def read(directory: Path, suite: dict, seed: int = 1, archive: Path | None = None) -> Suite:
    file = directory / "suite.yaml"
    file.write_text(yaml.safe_dump(suite))
    return read_suite(file, lambda source: archive or directory / source, seed)


def task(**changes: object) -> dict:
    return {"tasks": [{"name": "t", "kind": "exact", "items": ITEMS} | changes]}


def test_shots_stand_before_and_are_never_the_question_itself(tmp_path):
    questions = read(tmp_path, task(shots=3, template="Q: {prompt}", joined="|")).tasks[0].questions
    assert len(questions) == 6
    for number, question in enumerate(questions):
        *shots, own = question.prompt.split("|")
        assert own == f"Q: {number} then" and question.targets == [str(number + 1)]
        assert len(set(shots)) == 3 and not any(shot.startswith(own) for shot in shots)
        assert all(int(shot.split()[-1]) == int(shot.split()[1]) + 1 for shot in shots)
    again = read(tmp_path, task(shots=3, template="Q: {prompt}", joined="|"))
    assert again.tasks[0].questions == questions
    assert read(tmp_path, task(shots=3, template="Q: {prompt}", joined="|"), seed=2).tasks[0].questions != questions


def test_a_limit_draws_by_the_seed_and_keeps_the_order(tmp_path):
    few = [read(tmp_path, task(limit=3), seed).tasks[0].questions for seed in range(4)]
    numbers = [[int(question.targets[0]) for question in questions] for questions in few]
    assert all(len(some) == 3 and some == sorted(some) for some in numbers) and len(set(map(tuple, numbers))) > 1


def test_items_of_a_source_in_both_layouts(tmp_path):
    """A BIG-bench task.json within an archive, and JSON lines in a directory."""
    examples = [{"input": "2 + 2", "target": ["4", "four"]}, {"input": "1", "target": "1"}]
    scored = [{"input": "sky", "target_scores": {"red": 0, "blue": 1, "green": 0}}]
    source = tmp_path / "bench"
    for name, content in {"sums": examples, "colours": scored}.items():
        (source / name).mkdir(parents=True)
        (source / name / "task.json").write_text(json.dumps({"name": name, "examples": content}))
    with tarfile.open(tmp_path / "bench.tar.gz", "w:gz") as archive:
        archive.add(source, "bench-1.0")
    (tmp_path / "own").mkdir()
    (tmp_path / "own/items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in ITEMS))
    told = [
        {"name": "sums", "kind": "exact", "source": "bench.tar.gz", "member": "**/sums/task.json"},
        {"name": "colours", "kind": "choice", "source": "bench.tar.gz", "member": "**/colours/task.json"},
        {"name": "own", "kind": "exact", "source": "own", "member": "*.jsonl"},
    ]
    told.append(told[1] | {"name": "said", "kind": "exact", "member": "**/{sums,colours}/task.json"})
    sums, colours, own, said = read(tmp_path, {"tasks": told}).tasks
    assert [question.targets for question in said.questions] == [["blue"], ["4", "four"], ["1"]]
    assert [question.targets for question in sums.questions] == [["4", "four"], ["1"]]
    assert colours.questions == [Question(prompt="sky", choices=["red", "blue", "green"], answer=1)]
    assert len(own.questions) == 6


def test_half_a_character_of_a_source_is_replaced(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own/a.jsonl").write_text('{"prompt": "p \\ud800", "answer": "\\ud83d\\ude00"}\n')
    [task] = read(tmp_path, {"tasks": [{"name": "own", "kind": "exact", "source": "own", "member": "*"}]}).tasks
    assert (task.questions[0].prompt, task.questions[0].targets) == ("p \ufffd", ["\U0001f600"])


@pytest.mark.parametrize(
    ("suite", "message"),
    [
        ({"format": {"polite": {}}}, "format.polite is no check; known are ended"),
        ({"format": {"words": {"least": 1}}}, "write {least: a number, most: a number}"),
        ({"format": {"words": {"least": 1, "most": "many"}}}, "write {least: a number, most: a number}"),
        (task(items=[{"prompt": "p"}]), "t: item 1: answer is None; it should be text"),
        (task(items=[{"prompt": "", "answer": "a"}]), "item 1: prompt is ''"),
        (task(items=[]), "t: no items; write some"),
        (task(shots=-1), "tasks.0.shots: -1 is less than the minimum of 0"),
        (task(limit=0), "tasks.0.limit: 0 is less than the minimum of 1"),
        (task(baseline=1), "tasks.0.baseline: 1 is not below 1"),
        (task(items=[{"input": "p", "target_scores": {}}]), "item 1: target_scores is {}"),
        (task(items=[{"input": "p", "target_scores": ["a"]}]), "item 1: target_scores is ['a']"),
        (task(items=[{"target_scores": {"a": 1}}]), "item 1: prompt is None"),
        (task(items=[{"target": "a"}]), "item 1: prompt is None"),
        (task(source="deep", member="*"), "deep.jsonl is not JSON"),
        (task(shots=6), "t: 6 shots of 6 items; lower shots"),
        (task(kind="guess"), "tasks.0.kind: 'guess' is not one of choice, exact"),
        (task(typo=1), "tasks.0.typo: unknown key"),
        ({"tasks": [CHOICE, CHOICE]}, "two tasks have the same name"),
        ({"tasks": [CHOICE | {"items": [{"prompt": "p", "choices": ["x", "y"], "answer": 2}]}]}, "the number of one"),
        ({"tasks": [CHOICE | {"items": [{"prompt": "p", "choices": ["x"], "answer": 0}]}]}, "two choices or more"),
        (task(source="own"), "no member; name the file"),
        (task(source="own", member="*.json"), "own has no file like *.json"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, suite, message):
    (tmp_path / "own").mkdir()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/deep.jsonl").write_text("[" * 100_000)
    with pytest.raises(InputError) as error:
        read(tmp_path, suite)
    assert message in str(error.value) and "\n" not in str(error.value)


BROKEN = (b"\xff\xfe", b"a: 2024-13-01", b"a: !!bool maybe", b"[" * 10_000, b"a: [", b'"\\ud800"', b"a: &x [*x]")


@pytest.mark.parametrize("content", BROKEN)
def test_what_is_no_yaml_is_named(tmp_path, content):
    file = tmp_path / "suite.yaml"
    file.write_bytes(content)
    with pytest.raises(InputError, match="suite.yaml: cannot be read as YAML") as error:
        read_suite(file, lambda source: tmp_path, 1)
    assert "\n" not in str(error.value)


def test_the_shipped_suite_is_whole():
    """It survives JSON; its right choices stand at every place equally often; no prompt is harmful and benign."""
    suite = read_suite(ROOT / "evaluation/suite.yaml", lambda source: ROOT, 1)
    assert from_json(json.loads(json.dumps(as_json(suite)))) == suite
    for each in suite.tasks:
        answers = [question.answer for question in each.questions if question.choices]
        counts = {answers.count(number) for number in range(len(each.questions[0].choices))}
        assert len(counts) <= 1
    assert len(suite.refusal.harmful) == len(suite.refusal.benign)
    assert not set(suite.refusal.harmful) & set(suite.refusal.benign)
