"""Asks a model a suite's tasks: the likeliest of several choices, or a greedy answer that must be a target."""

import math
from collections.abc import Sequence

from llm.errors import InputError
from llm.evaluate.answers import prompts_of
from llm.evaluate.statistics import estimate
from llm.evaluate.suite import Question, Task
from llm.inference.engine import Engine
from llm.inference.sequence import Request
from llm.inference.shared_prefixes import continuations
from llm.model.transformer import CausalLM
from llm.tokenize.chat import encode_chat
from llm.tokenize.open import AnyTokenizer

SPARE = 4  # tokens beyond the longest target, in which an answer has to have ended its line


def asked(engine: Engine, tokenizer: AnyTokenizer, task: Task) -> dict:
    """Return the task's accuracy, and how far it is from guessing to perfect (CORE's centred score: Li et al. 2024,
    arXiv 2406.11794, section 3.5)."""
    hits = (chosen if task.kind == "choice" else exact)(engine, tokenizer, task)
    accuracy = estimate(hits)
    baseline = task.baseline
    if baseline is None:
        choices = [len(question.choices) for question in task.questions]
        baseline = sum(1 / n for n in choices) / len(choices) if task.kind == "choice" else 0.0
    return {"accuracy": accuracy, "baseline": baseline, "centred": centred(accuracy, baseline)}


def centred(accuracy: dict, baseline: float) -> dict:
    """Return (accuracy - baseline) / (1 - baseline): 0 for guessing, 1 for all right."""
    error = accuracy["se"]
    return {
        "value": (accuracy["value"] - baseline) / (1 - baseline),
        "se": None if error is None else error / (1 - baseline),
        "n": accuracy["n"],
    }


def mean_of(tasks: dict[str, dict]) -> dict:
    """Return the mean of the tasks' centred scores, which CORE is of its 22."""
    scores = [task["centred"] for task in tasks.values()]
    errors = [score["se"] for score in scores if score["se"] is not None]
    return {
        "value": sum(score["value"] for score in scores) / len(scores),
        "se": math.sqrt(sum(error**2 for error in errors)) / len(scores) if errors else None,
        "n": len(scores),
    }


def chosen(engine: Engine, tokenizer: AnyTokenizer, task: Task) -> list[float]:
    """Return 1 for each question whose right choice is the likeliest, in all or per byte."""
    hits = []
    for question, scores in zip(task.questions, likelihoods(engine, tokenizer, task), strict=True):
        if task.per_byte:
            scores = [score / len(choice.encode()) for score, choice in zip(scores, question.choices, strict=True)]
        hits.append(float(scores.index(max(scores)) == question.answer))
    return hits


def likelihoods(engine: Engine, tokenizer: AnyTokenizer, task: Task) -> list[list[float]]:
    """Return log p of each choice behind its question, in nats."""
    texts, begins = [], []
    for question in task.questions:
        for choice in question.choices:
            text, begin = continued(tokenizer, task, question, choice)
            texts.append(fitting(engine.model, text, begin, task.name))
            begins.append(begin)
    sums = iter([float(score.sum()) for score in continuations(engine.model, texts, begins)])
    return [[next(sums) for _ in question.choices] for question in task.questions]


def continued(tokenizer: AnyTokenizer, task: Task, question: Question, choice: str) -> tuple[list[int], int]:
    """Return the tokens of a prompt with a choice, and where the choice begins. As text a space is between the two, and
    they are encoded together, as readers of such tasks do; a word's pieces may depend on what is before it."""
    if task.asked == "chat":
        turn = {"role": "user", "content": question.prompt}
        ids, mask = encode_chat(tokenizer, [turn, {"role": "assistant", "content": choice}])
        return ids, mask.index(1)
    begin = [] if tokenizer.bos is None else [tokenizer.bos]
    ids = [*begin, *tokenizer.encode(f"{question.prompt} {choice}")]
    # Blanks at the prompt's end may become one token with what follows: they count to the choice.
    return ids, max(1, len(begin) + len(tokenizer.encode(question.prompt.rstrip())))


def exact(engine: Engine, tokenizer: AnyTokenizer, task: Task) -> list[float]:
    """Return 1 for each question whose greedy answer, up to the end of its line, is one of the targets."""
    begin = [] if tokenizer.bos is None else [tokenizer.bos]
    requests = []
    for question in task.questions:
        if task.asked == "chat":
            ids = prompts_of(tokenizer, [question.prompt])[0].ids
        else:
            ids = [*begin, *tokenizer.encode(question.prompt)]
        most = SPARE + max(len(tokenizer.encode(target)) for target in question.targets)
        fitting(engine.model, [*ids, *range(most)], len(ids), task.name)
        requests.append(Request(ids, most, stop_ids=(tokenizer.eos,)))
    outputs = engine.generate(requests)
    found = []
    for question, output in zip(task.questions, outputs, strict=True):
        text = tokenizer.decode(output.completions[0].tokens).strip()
        found.append(float(text.split("\n")[0].strip() in question.targets))
    return found


def fitting(model: CausalLM, text: Sequence[int], begin: int, name: str) -> list[int]:
    """Return a text that the model's context holds. Raises InputError for another."""
    if len(text) > model.config.context_length:
        raise InputError(
            f"task {name}: {len(text)} tokens, {begin} of them the prompt's, are more than the model's context of "
            f"{model.config.context_length}; take fewer shots, or shorter items"
        )
    return list(text)
