"""Lets the policy that is trained answer prompts, and rates the answers: the stream that policy gradients train on.
Answers come from the project's own inference engine, whose log-probabilities are the trainer's to the bit.

The answers of a step are a function of the weights, the seed and the step: every random number is counted by them, so
neither the ranks, which share the prompts, nor what else is answered beside changes a byte. Where several steps use the
same answers these are part of a recovery point. All are kept in a file for each rollout, and joined at the end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import polars as pl
import torch

from llm.align.advantages import adapted_coef
from llm.align.answers import Answer, distance_of, joined, overlong, padded_answers, ratio_of, seen_of
from llm.align.lora import adapter_off
from llm.align.policy import ALGORITHMS, Experience, PolicyGradient, Sequences
from llm.align.ppo import Ppo, credited
from llm.align.prompts import Prompt
from llm.align.rewards import Reward, rated
from llm.align.scorer import Scorer
from llm.align.settings.policy import REWARD_MODEL, PolicySettings
from llm.errors import InputError
from llm.inference.engine import Engine
from llm.inference.sequence import Completion, Request
from llm.inference.shared_prefixes import continuations
from llm.io import parquet
from llm.model.transformer import CausalLM
from llm.runtime.agreement import Ranks
from llm.tokenize.open import AnyTokenizer

NAME = "rollouts.parquet"
TRAINING, REPLACING, HELD_OUT, NORMALISING = range(4)  # what an answer is for: part of its seed


class Rollouts:
    """The stream (OnPolicy of llm/training/prefetch.py). `policy` makes the objective of the model that is trained, and
    that answers. directory: for the files, one that all ranks see. scorer: of the reward model, where the rewards name
    it."""

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
        scorer: Scorer | None = None,
    ) -> None:
        if len(training) < settings.batch_size:
            raise InputError(
                f"{len(training)} prompts do not fill one batch of {settings.batch_size}: lower the batch or get more"
            )
        self.prompts, self.n_training = [*training, *held_out], len(training)
        self.settings, self.rewards, self.scorer = settings, rewards, scorer
        self.algorithm = ALGORITHMS[settings.algorithm]
        self.tokenizer, self.pad, self.ranks, self.directory = tokenizer, pad, ranks, directory
        self.seen = ("reward", "length", "finished", *(f"reward_{name}" for name in settings.rewards))
        self.restore(None)

    def policy(self, model: CausalLM) -> PolicyGradient:
        """Return the objective of a model, which answers from now on."""
        self.objective = (Ppo if self.algorithm.advantages is None else PolicyGradient)(model, self.settings, self.seen)
        self.engine = Engine(model)
        return self.objective

    def restore(self, state: dict | None) -> None:
        """Go on from what `state` returned; None: from the beginning."""
        state = state or {"made": [], "groups": [], "kl_coef": self.settings.kl_coef}
        self.made: list[int] = state["made"]
        self.kl_coef: float = state["kl_coef"]  # of the last rollout's rewards
        self.groups = [[Answer(**answer) for answer in group] for group in state["groups"]]

    def state(self) -> dict:
        """Return what later steps need of earlier ones, for JSON: the rollouts that were made, and the last one."""
        groups = [[asdict(answer) for answer in group] for group in self.groups]
        return {"made": self.made, "groups": groups, "kl_coef": self.kl_coef}

    def rows(self, begin: int, first: int, count: int) -> Experience:
        """Return the answers to prompts first ... first + count - 1 of the batch that begins at `begin`."""
        number = self.number_of(begin)
        if self.made[-1:] != [number]:
            self.make(number)
        groups = self.groups[first : first + count]
        answers, whole = joined(groups), joined(self.groups)
        part = self.sequences(answers)

        def of_tokens(name: str) -> torch.Tensor:
            return torch.tensor([value for answer in answers for value in getattr(answer, name)])

        return Experience(
            part.tokens_BT,
            part.mask_BT,
            old_N=of_tokens("log_probs"),
            reference_N=of_tokens("reference"),
            advantage_N=of_tokens("advantages"),
            seen_BK=torch.tensor([seen_of(answer) for answer in answers], dtype=torch.float64),
            prompts=len(groups),
            answers=len(whole),
            targets=sum(len(answer.tokens) for answer in whole),
            value_N=of_tokens("values"),
            return_N=of_tokens("returns"),
            kl_coef=self.kl_coef,
        )

    def tokens_of(self, begin: int, count: int) -> int:
        """Return the tokens of the batch that begins at `begin`; where it is not made, the most that it may have."""
        if self.made[-1:] == [self.number_of(begin)]:
            answers = joined(self.groups)
            return sum(len(self.prompts[answer.prompt].ids) + len(answer.tokens) for answer in answers)
        return count * self.settings.samples * self.settings.max_tokens

    def number_of(self, begin: int) -> int:
        """Return which rollout the batch that begins at `begin` is of."""
        return begin // self.settings.batch_size // self.settings.iterations

    def sequences(self, answers: Sequence[Answer]) -> Sequences:
        """Return each answer behind its prompt."""
        return padded_answers(answers, [self.prompts[answer.prompt].ids for answer in answers], self.pad)

    def make(self, number: int) -> None:
        """Answer the prompts of rollout `number`, and keep the answers. Raises InputError where they are too far from
        the reference."""
        settings = self.settings
        if self.made and settings.kl_target is not None:
            self.kl_coef = adapted_coef(self.kl_coef, distance_of(self.groups), settings.kl_target)
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
        if self.scorer is not None and not self.scorer.normalised:
            self.normalise(self.scorer)
        mine = {}
        for place, completions in self.completions(prompts, seed).items():
            prompt = prompts[place]
            scores = self.scores(prompt, completions)
            rated = [self.rated(prompt, *each) for each in zip(completions, scores, strict=True)]
            mine[place] = self.judged(rated)
        found = {place: group for part in self.ranks.gather(mine) for place, group in part.items()}
        return [found[place] for place in range(len(prompts))]

    def completions(self, prompts: Sequence[int], seed: tuple[int, ...]) -> dict[int, list[Completion]]:
        """Answer this rank's share of the prompts; return what was answered by the prompts' places."""
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
        return {place: output.completions for place, output in zip(places, outputs, strict=True)}

    def normalise(self, scorer: Scorer) -> None:
        """Let the reference answer training prompts, and bring the reward model's scores to a scale by them."""
        order = np.random.Generator(np.random.PCG64([self.settings.seed, NORMALISING])).permutation(self.n_training)
        prompts = order[: self.settings.normalising_prompts].tolist()
        scorer.to(self.objective.model.device)
        with adapter_off(self.objective.model):
            answered = self.completions(prompts, (NORMALISING,))
        mine = {place: self.scores(prompts[place], each) for place, each in answered.items()}
        found = {place: scores for part in self.ranks.gather(mine) for place, scores in part.items()}
        scorer.normalise([score for place in range(len(prompts)) for score in found[place]])

    def scores(self, prompt: int, completions: Sequence[Completion]) -> list[float]:
        """Return what the reward model says of answers to a prompt; 0 without one."""
        if self.scorer is None:
            return [0.0] * len(completions)
        return self.scorer.scores([[*self.prompts[prompt].ids, *each.tokens] for each in completions])

    def rated(self, prompt: int, completion: Completion, score: float) -> Answer:
        """Rate one answer. score: the reward model's."""
        asked, settings, finished = self.prompts[prompt], self.settings, completion.finish_reason == "stop"
        tokens = list(completion.tokens)
        text = self.tokenizer.decode(tokens[:-1] if finished else tokens)
        said = rated(self.rewards, settings.reward_seconds, asked.text, text, asked.row)
        by_name = {REWARD_MODEL: score, **dict(zip(self.rewards, said, strict=True))}
        rewards = [by_name[name] for name in settings.rewards]
        reward = sum(weight * value for weight, value in zip(settings.rewards.values(), rewards, strict=True))
        reward -= overlong(len(tokens), settings.max_new_tokens, settings.overlong_tokens)
        reward -= 0.0 if finished else settings.missing_eos_penalty
        return Answer(prompt, tokens, list(completion.logprobs), finished, text, rewards, reward)

    @torch.no_grad()
    def judged(self, answers: Sequence[Answer]) -> list[Answer]:
        """Return answers with the log-probabilities of the reference, the model with its adapter off, for which their
        prompt is computed once, and with what a critic expects."""
        objective = self.objective
        prompts = [self.prompts[answer.prompt].ids for answer in answers]
        texts = [[*prompt, *answer.tokens] for prompt, answer in zip(prompts, answers, strict=True)]
        with adapter_off(objective.model), objective.products(objective.model.device):
            found = continuations(objective.model, texts, list(map(len, prompts)))
        answers = [replace(answer, reference=own.tolist()) for answer, own in zip(answers, found, strict=True)]
        if not isinstance(objective, Ppo):
            return answers
        value_N = objective.expected(self.sequences(answers).to(objective.model.device)).cpu()
        counts = [len(answer.tokens) for answer in answers]
        return [replace(a, values=own.tolist()) for a, own in zip(answers, value_N.split(counts), strict=True)]

    def with_advantages(self, groups: list[list[Answer]]) -> list[list[Answer]]:
        """Return the answers with their advantages."""
        if self.algorithm.advantages is None:
            rest = iter(credited(joined(groups), self.settings, self.kl_coef))
            return [[next(rest) for _ in group] for group in groups]
        off = self.settings.kl_coef if self.algorithm.kl == "reward" else 0.0
        reward_GS = torch.tensor(
            [[answer.reward - off * ratio_of(answer) for answer in group] for group in groups], dtype=torch.float64
        )
        advantages = self.algorithm.advantages(reward_GS).tolist()
        return [
            [replace(each, advantages=[value] * len(each.tokens)) for each, value in zip(group, values, strict=True)]
            for group, values in zip(groups, advantages, strict=True)
        ]

    def table(self, number: int) -> pl.DataFrame:
        """Return the last rollout, a row for each answer."""
        critic = self.algorithm.advantages is None
        rows = [
            {
                "step": number * self.settings.iterations + 1,
                "prompt": self.prompts[answer.prompt].text,
                "answer": answer.text,
                "finished": answer.finished,
                "reward": answer.reward,
                **({} if critic else {"advantage": answer.advantages[0]}),
                **dict(zip((f"reward_{name}" for name in self.settings.rewards), answer.rewards, strict=True)),
                "tokens": answer.tokens,
                "log_probs": answer.log_probs,
                "reference_log_probs": answer.reference,
                **({name: getattr(answer, name) for name in ("advantages", "values", "returns")} if critic else {}),
            }
            for answer in joined(self.groups)
        ]
        lists = {"log_probs", "reference_log_probs", "advantages", "values", "returns"} & rows[0].keys()
        schema = {"tokens": pl.List(pl.Int32)} | dict.fromkeys(sorted(lists), pl.List(pl.Float32))
        return pl.DataFrame(rows, schema_overrides=schema)

    def file(self, number: int) -> Path:
        return self.directory / f"{number:06}.parquet"

    def write(self, path: Path) -> None:
        """Write all answers of the run, in order. Called on rank 0."""
        parquet.write(pl.concat([pl.read_parquet(self.file(number)) for number in self.made]), path)
