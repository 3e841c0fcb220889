"""Alignment beside known truth: preferences of a reward that is known, on a vocabulary so small that everything about a
policy can be computed exactly.

    python -m benchmarks.align_truth [--seeds 0 1 2]

A prompt names one of six tables of weights; an answer has at most four of six symbols, and ends by itself or is cut
off. Its true reward is the mean weight of its symbols, less the mean of that among the reference's answers of the same
length, so that lengths say nothing of it. Two answers of the reference are compared by Bradley and Terry's model of
their true rewards.

    reward model   held-out accuracy in expectation, beside the Bayes ceiling: the mean of sigmoid(|difference|)
    DPO            share of held-out pairs that its implicit reward puts in the order of the true rewards
    PPO, GRPO      what the true reward gains, learned from the reward model, beside what is attainable: by the policy
                   p(y) ~ ref(y) exp(r(y) / b) at the same KL divergence from the reference, which is the best there is
    length only    the same with preferences of the longer answer: the true reward is to gain nothing

Rewards, KL divergences and the best policy are sums over all answers. Exit status 1 where a target is missed.
"""

import argparse
import itertools
import math
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from llm.align.batches import Example, Pair, collate
from llm.align.conversations import read_pairs
from llm.align.lora import load_adapter
from llm.align.method import Method
from llm.align.paired import METHODS
from llm.align.policy import answer_logits, chosen, sequences_of
from llm.align.prompts import Prompt
from llm.align.reward import REWARD, RewardModel, load_reward_model
from llm.align.rollouts import Rollouts
from llm.align.scorer import Scorer
from llm.align.settings.adapter import AdapterSettings, LoraConfig, Schedule
from llm.align.settings.paired import PairedSettings
from llm.align.settings.policy import REWARD_MODEL, PolicySettings
from llm.align.train_adapter import ItemsJob, adapt
from llm.align.train_policy import PolicyJob, learn
from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM
from llm.runtime.agreement import Ranks
from llm.training.guards import Blame
from llm.training.segment import Task

BOS, EOS, PAD = 1, 2, 3
SYMBOLS = (0, 1, 3, 4, 5, 6)  # all tokens but EOS
LONGEST, PROMPTS = 4, len(SYMBOLS)
CONFIG = ModelConfig(
    vocab_size=7, d_model=48, n_layers=2, n_heads=4, n_kv_heads=4, d_head=12, d_ff=96, context_length=16,
    tie_embeddings=False,
)  # fmt: skip
ANSWERS = [
    *((*answer, EOS) for n in range(LONGEST) for answer in itertools.product(SYMBOLS, repeat=n)),
    *itertools.product(SYMBOLS, repeat=LONGEST),
]
LENGTH_A = torch.tensor([len(answer) - (answer[-1] == EOS) for answer in ANSWERS])
NUMBER = {answer: number for number, answer in enumerate(ANSWERS)}
LORA = LoraConfig(8, 16)
TRAINING, HELD_OUT = 51_200, 1000  # pairs
SPREAD = 2.5  # deviation of the weights
TARGETS = {"ceiling": 0.02, "ordered": 0.95, "gain": 0.5, "length": 0.1}


@dataclass(frozen=True)
class World:
    """One seed's truth. model: makes the reference, anew each time. log_prob_PA: of it, of all answers to each prompt;
    reward_PA: the true rewards; fp64."""

    seed: int
    model: Callable[[], CausalLM]
    log_prob_PA: Tensor
    reward_PA: Tensor


class Symbols:
    """A tokenizer whose text is numbers of symbols."""

    eos = EOS

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(map(str, ids))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    rows = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as directory:
            rows.append(measured(world_of(seed), Path(directory)))
        print(f"seed {seed}: " + ", ".join(f"{name} {value:.3f}" for name, value in rows[-1].items()), flush=True)
    missed = [f"seed {seed}: {name}" for seed, row in zip(seeds, rows, strict=True) for name in missing(row)]
    print("missed: " + ", ".join(missed) if missed else "no target is missed")
    sys.exit(int(bool(missed)))


def missing(row: dict[str, float]) -> list[str]:
    """Return the targets that a seed's figures miss."""
    reached = {
        "reward model": row["reward model"] >= row["Bayes ceiling"] - TARGETS["ceiling"],
        "DPO": row["DPO in order"] >= TARGETS["ordered"],
        **{name: row[f"{name} share"] >= TARGETS["gain"] for name in ("PPO", "GRPO")},
        **{f"{name} by length": row[f"{name} by length share"] <= TARGETS["length"] for name in ("PPO", "GRPO")},
    }
    return [name for name, well in reached.items() if not well]


def world_of(seed: int) -> World:
    """Draw the weights and the reference, a random model whose next token is anything but even."""

    def model() -> CausalLM:
        generator = torch.Generator().manual_seed(seed)
        made = CausalLM(CONFIG).eval()
        with torch.no_grad():
            for weight in made.parameters():
                weight.normal_(0.0, 0.08, generator=generator).add_(float(weight.ndim == 1))
        return made

    log_prob_PA = exact(model())
    weights = np.random.Generator(np.random.PCG64([seed, 1])).normal(0.0, SPREAD, (PROMPTS, CONFIG.vocab_size))
    bare = [[token for token in answer if token != EOS] for answer in ANSWERS]
    mean_PA = torch.tensor(
        [[own[answer].mean() if answer else 0.0 for answer in bare] for own in weights], dtype=torch.float64
    )
    expected_PA = torch.zeros_like(mean_PA)
    for length in range(LONGEST + 1):
        of_length_A = length == LENGTH_A
        chance_PA = log_prob_PA.exp()[:, of_length_A]
        expected_PA[:, of_length_A] = (chance_PA * mean_PA[:, of_length_A]).sum(1, True) / chance_PA.sum(1, True)
    return World(seed, model, log_prob_PA, mean_PA - expected_PA)


def measured(world: World, directory: Path) -> dict[str, float]:
    """Return a seed's figures."""
    noisy, ordered, longer = (pairs_of(world, TRAINING + HELD_OUT, by) for by in ("noise", "order", "length"))
    found = {"Bayes ceiling": ceiling(world, noisy[TRAINING:])}
    found["reward model"], scorer = reward_model(world, noisy, directory / "reward")
    found["DPO in order"] = dpo(world, ordered, directory / "dpo")
    _, of_length = reward_model(world, longer, directory / "length")
    for name in ("PPO", "GRPO"):
        policy = exact(trained(world, name.lower(), scorer, directory / name))
        found |= {f"{name} {key}": value for key, value in gains(world, policy).items()}
        policy = exact(trained(world, name.lower(), of_length, directory / f"{name}-length"))
        found |= {f"{name} by length {key}": value for key, value in gains(world, policy).items() if key != "gain"}
    return found


def exact(model: CausalLM) -> Tensor:
    """Return the log-probability of every answer to every prompt, [P, A] fp64."""
    rows = []
    for prompt in range(PROMPTS):
        begin = ids_of(prompt)
        part = sequences_of([[*begin, *answer] for answer in ANSWERS], [len(begin)] * len(ANSWERS), PAD)
        with torch.no_grad():
            log_prob_N = chosen(answer_logits(model, part), part).double()
        rows.append(torch.stack([own.sum() for own in log_prob_N.split(list(map(len, ANSWERS)))]))
    log_prob_PA = torch.stack(rows)
    assert (log_prob_PA.exp().sum(1) - 1).abs().max() < 1e-4, "these are all answers"
    return log_prob_PA


def ids_of(prompt: int) -> list[int]:
    return [BOS, SYMBOLS[prompt]]


def gains(world: World, policy_PA: Tensor) -> dict[str, float]:
    """Return by how much the true reward rose, the exact KL divergence in nats an answer, and the share of what is
    attainable at it."""
    reference_PA, reward_PA = world.log_prob_PA, world.reward_PA

    def gain(log_prob_PA: Tensor) -> float:
        return ((log_prob_PA.exp() - reference_PA.exp()) * reward_PA).sum(1).mean().item()

    def tilted(by: float) -> Tensor:
        return (reference_PA + by * reward_PA).log_softmax(1)

    budget = divergence(policy_PA, reference_PA)
    low, high = 0.0, 1e3
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if divergence(tilted(middle), reference_PA) < budget else (low, middle)
    return {"gain": gain(policy_PA), "KL": budget, "share": gain(policy_PA) / gain(tilted(low))}


def divergence(p_PA: Tensor, ref_PA: Tensor) -> float:
    """Return KL(p || ref) of log-probabilities, a mean over the prompts."""
    return (p_PA.exp() * (p_PA - ref_PA)).sum(1).mean().item()


def pairs_of(world: World, n: int, by: str) -> list[Pair]:
    """Return pairs of the reference's answers, the first of which is preferred: with noise, in the order of the true
    rewards, or for its length."""
    random = np.random.Generator(np.random.PCG64([world.seed, 2]))
    pairs: list[Pair] = []
    while len(pairs) < n:
        prompt = int(random.integers(PROMPTS))
        chance_A = world.log_prob_PA[prompt].exp().numpy()
        first, second = random.choice(len(ANSWERS), 2, p=chance_A / chance_A.sum()).tolist()
        better = (world.reward_PA[prompt, first] - world.reward_PA[prompt, second]).item()
        longer = (LENGTH_A[first] - LENGTH_A[second]).item()
        chance = {"noise": sigmoid(better), "order": float(better > 0), "length": float(longer > 0)}[by]
        sides = (first, second) if random.random() < chance else (second, first)
        if better and (longer or by != "length"):
            pairs.append(Pair(*(example(prompt, ANSWERS[side]) for side in sides), "all"))
    return pairs


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def example(prompt: int, answer: Sequence[int]) -> Example:
    ids = np.array([*ids_of(prompt), *answer])
    return Example(ids, np.arange(len(ids)) >= len(ids_of(prompt)), "all")


def difference_of(world: World, pair: Pair) -> float:
    """Return by how much the chosen side's true reward is above the other's."""
    (prompt, *one), (_, *other) = (side.ids[1:].tolist() for side in (pair.chosen, pair.rejected))
    reward_A = world.reward_PA[SYMBOLS.index(prompt)]
    return (reward_A[NUMBER[tuple(one)]] - reward_A[NUMBER[tuple(other)]]).item()


def ceiling(world: World, pairs: Sequence[Pair]) -> float:
    """Return the accuracy of a judge who knows the true reward, in expectation over the noise."""
    return fmean(sigmoid(abs(difference_of(world, pair))) for pair in pairs)


def told(kind: type, steps: int, batch: int, rate: float, **more: object):  # noqa: ANN201
    """A slice of the common settings."""
    schedule = Schedule(steps=steps, batch_size=batch, learning_rate=rate, warmup_steps=steps // 20)
    return kind(schedule=schedule, seed=0, dtype="float32", lora=LORA, max_tokens=CONFIG.context_length, **more)


def of_job(settings: AdapterSettings, output: Path) -> dict:
    output.mkdir(parents=True)
    blame = Blame("truth", "lower the rate")
    return {
        "task": Task(settings, None, "digest", blame), "output": output, "scratch": output.with_suffix(".scratch"),
        "logs": None, "deadline": math.inf, "hang_seconds": 0, "base": Path(), "data": Path(), "base_name": "base",
    }  # fmt: skip


def on_pairs(world: World, method: Method, settings: AdapterSettings, pairs: list[Pair], output: Path) -> None:
    job = ItemsJob(method=method, read=read_pairs, **of_job(settings, output))
    adapt(job, CONFIG, world.model, pairs[:TRAINING], pairs[TRAINING:])


def reward_model(world: World, pairs: list[Pair], output: Path) -> tuple[float, Scorer]:
    """Train a reward model; return its held-out accuracy in expectation over the noise, and what rates answers by
    it."""
    on_pairs(world, REWARD, told(AdapterSettings, TRAINING // 128, 128, 0.006), pairs, output)
    model = load_reward_model(world.model(), output)
    held_out = pairs[TRAINING:]
    differences = [difference_of(world, pair) for pair in held_out]
    margins = margins_of(model, held_out)
    right = [sigmoid(math.copysign(own, own * margin)) for own, margin in zip(differences, margins, strict=True)]
    return fmean(right), Scorer(model, PAD)


@torch.no_grad()
def margins_of(model: RewardModel, pairs: Sequence[Pair]) -> list[float]:
    chosen_B, rejected_B = model.rewards(collate(pairs, PAD)).chunk(2)
    return (chosen_B - rejected_B).tolist()


def dpo(world: World, pairs: list[Pair], output: Path) -> float:
    """Train by DPO; return the share of held-out pairs that its implicit reward puts in the true order."""
    on_pairs(world, METHODS["dpo"], told(PairedSettings, 600, 128, 0.006, loss="dpo", beta=4.0), pairs, output)
    model, reference = world.model(), world.model()
    load_adapter(model, output)
    held_out = pairs[TRAINING:]
    sides = [side.ids.tolist() for pair in held_out for side in (pair.chosen, pair.rejected)]
    part = sequences_of(sides, [2] * len(sides), PAD)
    counts = [len(ids) - 2 for ids in sides]
    with torch.no_grad():
        totals = [chosen(answer_logits(each, part), part).split(counts) for each in (model, reference)]
    implicit = [float(ours.sum() - theirs.sum()) for ours, theirs in zip(*totals, strict=True)]
    return fmean(implicit[2 * place] > implicit[2 * place + 1] for place in range(len(held_out)))


def trained(world: World, algorithm: str, scorer: Scorer, output: Path) -> CausalLM:
    """Return the policy that learned from the reward model's scores alone."""
    extra = {"kl_coef": 0.2, "iterations": 2} if algorithm == "ppo" else {"kl_coef": 0.2}
    settings = told(
        PolicySettings, 100, PROMPTS, 0.003, algorithm=algorithm, rewards={REWARD_MODEL: 1.0}, samples=16,
        max_new_tokens=LONGEST, held_out=PROMPTS, normalising_prompts=PROMPTS, kl_bound=20.0, **extra,
    )  # fmt: skip
    prompts = [Prompt(ids_of(prompt), str(prompt), {}, "all") for prompt in range(PROMPTS)]
    job = PolicyJob(functions=None, reward=None, **of_job(settings, output))
    scorer = Scorer(scorer.model, PAD)  # its scale is of this run
    rollouts = Rollouts(prompts, prompts, settings, {}, Symbols(), PAD, Ranks(0, 1), job.scratch / "rollouts", scorer)
    learn(job, CONFIG, world.model, rollouts)
    model = world.model()
    load_adapter(model, output)
    return model


if __name__ == "__main__":
    main()
