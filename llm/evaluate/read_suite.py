"""Reads the suite, a YAML file of format checks, prompts that should be refused or answered, and tasks.

    format: {ended: {}, words: {least: 3, most: 100}}             checks of llm/evaluate/checks.py, and their bounds
    refusal: {phrases: [...], harmful: [...], benign: [...]}
    tasks: [{name: plurals, kind: choice, items: [{prompt: "one cat, two", choices: [cats, cat], answer: 0}]}]

A task's items stand in it, or in a file of a source (JSON lines, or a task.json of BIG-bench). They are resolved here,
with their shots, so that the models are asked the same questions whatever else changes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llm.align.records import parsed
from llm.collect.archive import Archive, open_archive
from llm.collect.globs import chooser
from llm.errors import InputError
from llm.evaluate.checks import CHECKS
from llm.evaluate.suite import Question, Suite, Task
from llm.io.yaml import read_yaml
from llm.settings import key, made

Open = Callable[[str], Path]
"""open(source): its archive."""


@dataclass(frozen=True, kw_only=True)
class Written(Task):
    """A task as the file has it. template: what becomes of an item's prompt. shots: items before each with their
    answers, joined by `joined`. limit: items at most, drawn by the seed. source, member: where the items are: the
    files of the source that the glob fits."""

    template: str = "{prompt}"
    shots: int = key(0, minimum=0)
    joined: str = "\n\n"
    limit: int | None = key(None, minimum=1)
    items: list[dict] = key([])
    source: str | None = None
    member: str | None = None


@dataclass(frozen=True, kw_only=True)
class WrittenSuite(Suite):
    """As the file has it."""

    tasks: list[Written] = key([])  # type: ignore[assignment]


def read_suite(file: Path, archives: Open, seed: int) -> Suite:
    """Return the suite of a YAML file with all items in place. Raises InputError, which names the task and the item."""
    value = read_yaml(file)
    written = made(WrittenSuite, value, file.name)
    for name, bounds in written.format.items():
        check_bounds(name, bounds, file)
    names = [task.name for task in written.tasks]
    if len(set(names)) < len(names):
        raise InputError(f"{file}: two tasks have the same name; rename one of {', '.join(names)}")
    files = read_files(written.tasks, archives, file)
    tasks = [resolved(task, f"{file}: {task.name}", files, seed) for task in written.tasks]
    return Suite(format=written.format, refusal=written.refusal, tasks=tasks)


def check_bounds(name: str, bounds: Any, file: Path) -> None:
    """Raise InputError for a check that there is not, or bounds that it does not take."""
    known = CHECKS.get(name)
    if known is None:
        raise InputError(f"{file}: format.{name} is no check; known are {', '.join(CHECKS)}")
    fits = isinstance(bounds, dict) and set(bounds) == set(known.bounds)
    if not fits or not all(type(bound) in (int, float) for bound in bounds.values()):
        takes = "{" + ", ".join(f"{bound}: a number" for bound in known.bounds) + "}"
        raise InputError(f"{file}: format.{name} is {bounds!r}; write {takes}")


def resolved(task: Written, place: str, files: dict[str, list[dict]], seed: int) -> Task:
    """Return the task with its questions. files: by the tasks' names, see read_files."""
    items = files.get(task.name, task.items)
    found = [question_of(item, task, f"{place}: item {number}") for number, item in enumerate(items, 1)]
    if not found:
        raise InputError(f"{place}: no items; write some, or name a source and a member")
    if task.shots >= len(found):
        raise InputError(f"{place}: {task.shots} shots of {len(found)} items; lower shots")
    random = np.random.Generator(np.random.PCG64(seed))
    order = sorted(random.permutation(len(found))[: task.limit].tolist())
    questions = [with_shots(number, found, task, seed) for number in order]
    values = {name: getattr(task, name) for name in ("name", "kind", "asked", "per_byte", "baseline")}
    return Task(**values, questions=questions)


def with_shots(number: int, questions: list[Question], task: Written, seed: int) -> Question:
    """Return a question behind others with their answers, which are drawn by (seed, its number)."""
    if not task.shots:
        return questions[number]
    random = np.random.Generator(np.random.PCG64([seed, number]))
    others = [other for other in random.permutation(len(questions)).tolist() if other != number][: task.shots]
    shown = [f"{each.prompt} {right_of(each)}" for each in (questions[other] for other in others)]
    own = questions[number]
    prompt = task.joined.join([*shown, own.prompt])
    return Question(prompt=prompt, choices=own.choices, answer=own.answer, targets=own.targets)


def right_of(question: Question) -> str:
    return question.choices[question.answer] if question.choices else question.targets[0]


def question_of(item: dict, task: Written, place: str) -> Question:
    """Return an item's question: {prompt, choices, answer: number}, {prompt, answer: text or texts}, or BIG-bench's
    {input, target} and {input, target_scores}."""
    if "target_scores" in item:
        scores = item["target_scores"]
        numbers = isinstance(scores, dict) and all(type(score) in (int, float) for score in scores.values())
        if not numbers or not scores:
            raise InputError(f"{place}: target_scores is {scores!r}; it should have a number for each choice")
        choices, best = list(scores), max(scores, key=scores.get)
        answer = best if task.kind == "exact" else choices.index(best)
        item = {"prompt": item.get("input"), "choices": choices, "answer": answer}
    elif "target" in item:
        item = {"prompt": item.get("input"), "answer": item["target"]}
    prompt, choices, answer = item.get("prompt"), item.get("choices", []), item.get("answer")
    asked = task.template.replace("{prompt}", prompt) if isinstance(prompt, str) else ""
    if not asked:
        raise InputError(f"{place}: prompt is {prompt!r}; it should be text")
    if task.kind == "exact":
        targets: list[Any] = answer if isinstance(answer, list) else [answer]
        if not targets or not all(isinstance(target, str) and target.strip() for target in targets):
            raise InputError(f"{place}: answer is {answer!r}; it should be text, or a list of texts")
        return Question(prompt=asked, targets=[target.strip() for target in targets])
    texts = isinstance(choices, list) and all(isinstance(choice, str) and choice for choice in choices)
    if not texts or len(choices) < 2 or type(answer) is not int or not 0 <= answer < len(choices):
        raise InputError(f"{place}: it should have two choices or more, and as answer the number of one, from 0")
    return Question(prompt=asked, choices=choices, answer=answer)


def read_files(tasks: list[Written], archives: Open, file: Path) -> dict[str, list[dict]]:
    """Return the items of each task that has them in a file of a source. A source is opened once: its archive may have
    to be unpacked to be read."""
    found = {}
    for source in sorted({task.source for task in tasks if task.source is not None}):
        own = [task for task in tasks if task.source == source]
        for task in own:
            if task.member is None:
                raise InputError(
                    f"{file}: {task.name}: no member; name the file of {source} that has the items, as a glob"
                )
        label = f"{file}: {source}"
        fits = chooser([str(task.member) for task in own], [], label=label)
        with open_archive(archives(source), label=label, wanted=fits) as archive:
            for task in own:
                found[task.name] = items_of(archive, task, f"{file}: {task.name}")
    return found


def items_of(archive: Archive, task: Written, place: str) -> list[dict]:
    """Return the items of the archive's files that the task's glob fits, in the order of their names."""
    fits = chooser([str(task.member)], [], label=place)
    names = list(filter(fits, archive.names))
    if not names:
        raise InputError(f"{place}: {task.source} has no file like {task.member}; correct the glob")
    return [
        item for name in names for item in listed(archive.read(name).decode("utf-8", errors="replace"), name, place)
    ]


def listed(text: str, name: str, place: str) -> list[dict]:
    """Return the objects of a file: JSON lines, or a JSON list, which may stand in `examples`."""
    try:
        lines = [line for line in text.split("\n") if line.strip()]
        value: Any = parsed(text) if name.endswith(".json") else [parsed(line) for line in lines]
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: {name} is not JSON ({error}); name another file") from error
    items = value.get("examples") if isinstance(value, dict) else value
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise InputError(f"{place}: {name} is no list of objects, and has none in `examples`; name another file")
    return items
