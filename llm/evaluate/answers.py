"""Lets a model answer prompts through the project's inference engine, and rates the answers by the reward model."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from llm.align.prompts import Prompt
from llm.align.scorer import Scorer
from llm.evaluate.checks import CHECKS, Answer
from llm.evaluate.statistics import estimate
from llm.inference.engine import Engine
from llm.inference.sequence import Request
from llm.tokenize.chat import encode_chat
from llm.tokenize.hub import HubTokenizer
from llm.tokenize.load import CONTROLS
from llm.tokenize.open import AnyTokenizer

BATCH = 16
FORMAT, REFUSAL = range(2)  # what an answer is for: part of its seed


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn: the random stream of prompt i is (seed, purpose, i)."""

    max_new_tokens: int
    temperature: float
    seed: int


def answered(
    engine: Engine, tokenizer: AnyTokenizer, prompts: Sequence[Prompt], how: Sampling, purpose: int
) -> list[Answer]:
    """Return an answer to each prompt."""
    requests = [
        Request(
            prompt.ids,
            how.max_new_tokens,
            how.temperature,
            seed=(how.seed, purpose, number),
            stop_ids=(tokenizer.eos,),
        )
        for number, prompt in enumerate(prompts)
    ]
    outputs = engine.generate(requests)
    found = []
    for prompt, output in zip(prompts, outputs, strict=True):
        tokens = output.completions[0].tokens
        found.append(Answer(prompt.text, tokenizer.decode(tokens), tokens, tokens[-1] == tokenizer.eos))
    return found


def prompts_of(tokenizer: AnyTokenizer, texts: Sequence[str]) -> list[Prompt]:
    """Return texts as conversations of one turn."""
    return [
        Prompt(encode_chat(tokenizer, [{"role": "user", "content": text}], add_generation_prompt=True)[0], text, {}, "")
        for text in texts
    ]


def control_ids(tokenizer: AnyTokenizer) -> Collection[int]:
    """Return the ids that no text spells."""
    return set(tokenizer.controls.values()) if isinstance(tokenizer, HubTokenizer) else range(len(CONTROLS))


def compliance(answers: Sequence[Answer], checks: dict[str, dict], controls: Collection[int]) -> dict[str, dict]:
    """Return the share of answers that pass each check, and all of them."""
    passed = {
        name: [float(CHECKS[name].passes(answer, controls, **bounds)) for answer in answers]
        for name, bounds in checks.items()
    }
    found = {name: estimate(values) for name, values in passed.items()}
    return found | {"all": estimate(np.min([*passed.values()], axis=0))} if passed else {}


def rewards_of(scorer: Scorer, prompts: Sequence[Prompt], answers: Sequence[Answer]) -> list[float]:
    """Return the reward model's rating of each answer behind its prompt."""
    texts = [[*prompt.ids, *answer.tokens] for prompt, answer in zip(prompts, answers, strict=True)]
    return [rating for start in range(0, len(texts), BATCH) for rating in scorer.scores(texts[start : start + BATCH])]


def compared(rewards: Sequence[float], lengths: Sequence[int], before: Sequence[dict]) -> dict:
    """Return how often answers are rated above those of the model before to the same prompts, a tie counting one half,
    and how often they are longer: a judge may like length for its own sake."""
    wins = [beats(own, other["reward"]) for own, other in zip(rewards, before, strict=True)]
    longer = [beats(own, other["tokens"]) for own, other in zip(lengths, before, strict=True)]
    return {"win_rate": estimate(wins), "longer": estimate(longer)}


def beats(own: float, other: float) -> float:
    return 0.5 + 0.5 * ((own > other) - (own < other))
