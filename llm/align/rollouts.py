"""Lets the policy that is trained answer prompts, and rates the answers: the stream that policy gradients train on.
Answers come from the project's own inference engine, whose log-probabilities are the trainer's to the bit.

The answers of a step are a function of the weights, the seed and the step: every random number is counted by them, so
neither the ranks, which share the prompts, nor what else is answered beside changes a byte. Where several steps use the
same answers these are part of a recovery point. All are kept in a file for each rollout, and joined at the end.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import torch

from llm.align.lora import adapter_off
from llm.align.policy import ALGORITHMS, Experience, PolicyGradient, answer_logits, chosen, sequences_of
from llm.align.prompts import Prompt
from llm.align.rewards import Reward, rated
from llm.align.settings.policy import PolicySettings
from llm.errors import InputError
from llm.inference.engine import Engine
from llm.inference.sequence import Request
from llm.io import parquet
from llm.model.transformer import CausalLM
from llm.runtime.agreement import Ranks
from llm.tokenize.open import AnyTokenizer

NAME = "rollouts.parquet"
TRAINING, REPLACING, HELD_OUT = range(3)  # what an answer is for: part of its seed


@dataclass(frozen=True)
class Answer:
    """One answer. prompt: its number among the prompts. tokens: with the [EOS] that ends it, unless it was cut off
    (`finished`). log_probs, reference: of the tokens. rewards: of each function. reward: their weighted sum, less
    penalties."""

    prompt: int
    tokens: list[int]
    log_probs: list[float]
    finished: bool
    text: str
    rewards: list[float]
    reward: float
    reference: list[float]
    advantage: float = 0.0


class Rollouts:
    """The stream (OnPolicy of llm/training/prefetch.py). `policy` makes the objective of the model that is trained, and
    that answers. directory: for the files, one that all ranks see."""

    def __init__(
        self,
        training: Sequence[Prompt],
        held_out: Sequence[Prompt],
        settings: PolicySettings,
        rewards: Mapping[str, Reward],
        tokenizer: AnyTokenizer,
        pad: int,
        ranks: Ranks,
        directory: Path,
    ) -> None:
        if len(training) < settings.batch_size:
            raise InputError(
                f"{len(training)} prompts do not fill one batch of {settings.batch_size}: lower the batch or get more"
            )
        self.prompts, self.n_training = [*training, *held_out], len(training)
        self.settings, self.rewards = settings, rewards
        self.tokenizer, self.pad, self.ranks, self.directory = tokenizer, pad, ranks, directory
        self.seen = ("reward", "length", "finished", *(f"reward_{name}" for name in rewards))
        self.restore(None)

    def policy(self, model: CausalLM) -> PolicyGradient:
        """Return the objective of a model, which answers from now on."""
        self.objective = PolicyGradient(model, self.settings, self.seen)
        self.engine = Engine(model)
        return self.objective

    def restore(self, state: dict | None) -> None:
        """Go on from what `state` returned; None: from the beginning."""
        state = state or {"made": [], "groups": []}
        self.made: list[int] = state["made"]
        self.groups = [[Answer(**answer) for answer in group] for group in state["groups"]]

    def state(self) -> dict:
        """Return what later steps need of earlier ones, for JSON: the rollouts that were made, and the last one."""
        return {"made": self.made, "groups": [[asdict(answer) for answer in group] for group in self.groups]}

    def rows(self, begin: int, first: int, count: int) -> Experience:
        """Return the answers to prompts first ... first + count - 1 of the batch that begins at `begin`."""
        number = self.number_of(begin)
        if self.made[-1:] != [number]:
            self.make(number)
        groups = self.groups[first : first + count]
        answers, whole = joined(groups), joined(self.groups)
        part = sequences_of(*self.texts(answers), self.pad)
        return Experience(
            part.tokens_BT,
            part.mask_BT,
            torch.tensor([p for answer in answers for p in answer.log_probs]),
            torch.tensor([p for answer in answers for p in answer.reference]),
            torch.tensor([answer.advantage for answer in answers]),
            torch.tensor([seen_of(answer) for answer in answers], dtype=torch.float64),
            len(groups),
            len(whole),
            sum(len(answer.tokens) for answer in whole),
        )

    def tokens_of(self, begin: int, count: int) -> int:
        """Return the tokens of the batch that begins at `begin`; where it is not made, the most that it may have."""
        if self.made[-1:] == [self.number_of(begin)]:
            return sum(map(len, self.texts(joined(self.groups))[0]))
        return count * self.settings.samples * self.settings.max_tokens

    def number_of(self, begin: int) -> int:
        """Return which rollout the batch that begins at `begin` is of."""
        return begin // self.settings.batch_size // self.settings.iterations

    def texts(self, answers: Sequence[Answer]) -> tuple[list[list[int]], list[int]]:
        """Return each answer behind its prompt, and the prompt's tokens."""
        ids = [self.prompts[answer.prompt].ids for answer in answers]
        return [[*own, *answer.tokens] for own, answer in zip(ids, answers, strict=True)], list(map(len, ids))

    def make(self, number: int) -> None:
        """Answer the prompts of rollout `number`, and keep the answers. Raises InputError where they are too far from
        the reference."""
        settings = self.settings
        groups = self.answered(self.drawn(number), (TRAINING, number))
        for turn in range(settings.resample):
            alike = [place for place, group in enumerate(groups) if len({answer.reward for answer in group}) == 1]
            if not alike:
                break
            random = np.random.Generator(np.random.PCG64([settings.seed, number, turn]))
            others = random.integers(self.n_training, size=len(alike)).tolist()
            for place, group in zip(alike, self.answered(others, (REPLACING, number, turn)), strict=True):
                groups[place] = group
        self.groups, self.made = self.with_advantages(groups), [*self.made, number]
        if self.ranks.rank == 0:
            self.directory.mkdir(parents=True, exist_ok=True)
            parquet.write(self.table(number), self.file(number))
        distance = distance_of(self.groups)
        if distance > settings.kl_bound:
            raise InputError(
                f"align.{settings.algorithm}: at step {number * settings.iterations + 1} the answers are "
                f"{distance:.3g} nats a token from the reference, more than kl_bound: {settings.kl_bound:g}; lower the "
                "schedule's learning_rate, or raise kl_coef or kl_bound"
            )

    def drawn(self, number: int) -> list[int]:
        """Return the prompts of a rollout: the next of a shuffled epoch."""
        size = self.settings.batch_size
        epoch, within = divmod(number, self.n_training // size)
        order = np.random.Generator(np.random.PCG64([self.settings.seed, epoch])).permutation(self.n_training)
        return order[within * size : (within + 1) * size].tolist()

    def held_out_answers(self) -> list[Answer]:
        """Answer the held-out prompts."""
        return joined(self.answered(range(self.n_training, len(self.prompts)), (HELD_OUT,)))

    def answered(self, prompts: Sequence[int], seed: tuple[int, ...]) -> list[list[Answer]]:
        """Return the answers to the prompts of these numbers, rated, on every rank; the ranks share the work."""
        places = range(self.ranks.rank, len(prompts), self.ranks.world_size)
        asked = [
            Request(
                self.prompts[prompts[place]].ids,
                self.settings.max_new_tokens,
                temperature=1.0,
                n=self.settings.samples,
                logprobs=0,
                seed=(self.settings.seed, *seed, place),
                stop_ids=(self.tokenizer.eos,),
            )
            for place in places
        ]
        self.engine.forget_prefixes()  # the weights have changed
        with self.objective.products(self.objective.model.device):
            outputs = self.engine.generate(asked)
        mine = {}
        for place, output in zip(places, outputs, strict=True):
            group = [self.rated(prompts[place], each) for each in output.completions]
            references = self.references(group)
            mine[place] = [replace(answer, reference=own) for answer, own in zip(group, references, strict=True)]
        found = {place: group for part in self.ranks.gather(mine) for place, group in part.items()}
        return [found[place] for place in range(len(prompts))]

    def rated(self, prompt: int, completion) -> Answer:  # noqa: ANN001
        """Rate one answer."""
        asked, finished = self.prompts[prompt], completion.finish_reason == "stop"
        tokens = list(completion.tokens)
        text = self.tokenizer.decode(tokens[:-1] if finished else tokens)
        rewards = rated(self.rewards, self.settings.reward_seconds, asked.text, text, asked.row)
        weights = self.settings.rewards.values()
        reward = sum(weight * value for weight, value in zip(weights, rewards, strict=True))
        reward -= overlong(len(tokens), self.settings.max_new_tokens, self.settings.overlong_tokens)
        return Answer(prompt, tokens, list(completion.logprobs), finished, text, rewards, reward, [])

    @torch.no_grad()
    def references(self, answers: Sequence[Answer]) -> list[list[float]]:
        """Return the reference's log-probabilities of the answers' tokens: the model with its adapter off."""
        model = self.objective.model
        part = sequences_of(*self.texts(answers), self.pad).to(model.device)
        with adapter_off(model), self.objective.products(model.device):
            log_prob_N = chosen(answer_logits(model, part), part)
        return [own.tolist() for own in log_prob_N.cpu().split([len(answer.tokens) for answer in answers])]

    def with_advantages(self, groups: list[list[Answer]]) -> list[list[Answer]]:
        """Return the answers with their advantages."""
        algorithm = ALGORITHMS[self.settings.algorithm]
        off = self.settings.kl_coef if algorithm.kl == "reward" else 0.0
        reward_GS = torch.tensor(
            [[answer.reward - off * ratio_of(answer) for answer in group] for group in groups], dtype=torch.float64
        )
        advantages = algorithm.advantages(reward_GS).tolist()
        return [
            [replace(answer, advantage=value) for answer, value in zip(group, values, strict=True)]
            for group, values in zip(groups, advantages, strict=True)
        ]

    def table(self, number: int) -> pl.DataFrame:
        """Return the last rollout, a row for each answer."""
        rows = [
            {
                "step": number * self.settings.iterations + 1,
                "prompt": self.prompts[answer.prompt].text,
                "answer": answer.text,
                "finished": answer.finished,
                "reward": answer.reward,
                "advantage": answer.advantage,
                **dict(zip((f"reward_{name}" for name in self.rewards), answer.rewards, strict=True)),
                "tokens": answer.tokens,
                "log_probs": answer.log_probs,
                "reference_log_probs": answer.reference,
            }
            for answer in joined(self.groups)
        ]
        lists = {"tokens": pl.List(pl.Int32), "log_probs": pl.List(pl.Float32)}
        return pl.DataFrame(rows, schema_overrides=lists | {"reference_log_probs": pl.List(pl.Float32)})

    def file(self, number: int) -> Path:
        return self.directory / f"{number:06}.parquet"

    def write(self, path: Path) -> None:
        """Write all answers of the run, in order. Called on rank 0."""
        parquet.write(pl.concat([pl.read_parquet(self.file(number)) for number in self.made]), path)


def joined(groups: Sequence[Sequence[Answer]]) -> list[Answer]:
    """Return the answers of all groups, in order."""
    return [answer for group in groups for answer in group]


def seen_of(answer: Answer) -> list[float]:
    """Return what is logged of an answer: `Rollouts.seen`."""
    return [answer.reward, float(len(answer.tokens)), float(answer.finished), *answer.rewards]


def overlong(tokens: int, most: int, last: int) -> float:
    """Return the penalty of an answer's length, which grows from 0 to 1 over the `last` of `most` tokens (DAPO, Yu et
    al. 2025, equation 13)."""
    return max(0.0, tokens - (most - last)) / last if last else 0.0


def ratio_of(answer: Answer) -> float:
    """Return log p/ref of the answer, the estimate k1 of the KL divergence, which is not biased."""
    return math.fsum(answer.log_probs) - math.fsum(answer.reference)


def distance_of(groups: Sequence[Sequence[Answer]]) -> float:
    """Return the mean of log p/ref over all tokens, in nats."""
    answers = joined(groups)
    return math.fsum(map(ratio_of, answers)) / sum(len(answer.tokens) for answer in answers)
