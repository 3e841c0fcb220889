"""Alignment beside known truth: preferences of a reward that is known, on a vocabulary so small that everything about a
policy can be computed exactly.

    python -m benchmarks.align_truth [--seeds 0 1 2]

    reward model   held-out accuracy in expectation, beside the Bayes ceiling: the mean of sigmoid(|difference|)
    DPO            share of held-out pairs that its implicit reward puts in the order of the true rewards
    PPO, GRPO      what the true reward gains, learned from the reward model, beside what is attainable: by the policy
                   p(y) ~ ref(y) exp(r(y) / b) at the same KL divergence from the reference, which is the best there is
    length only    the same with preferences of the longer answer: the true reward is to gain nothing

benchmarks/align_world.py is that world. Exit status 1 where a target is missed.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import torch
from safetensors.torch import save_model

from benchmarks.align_world import (
    CONFIG,
    EOS,
    LONGEST,
    PAD,
    PROMPTS,
    World,
    ceiling,
    difference_of,
    exact,
    gains,
    ids_of,
    pairs_of,
    sigmoid,
    world_of,
)
from llm.align.batches import Pair, collate
from llm.align.conversations import read_pairs
from llm.align.lora import load_adapter
from llm.align.method import Method
from llm.align.paired import METHODS
from llm.align.policy import answer_log_probs, chosen, sequences_of
from llm.align.prompts import Prompt
from llm.align.reward import REWARD, RewardModel, load_reward_model
from llm.align.rollouts import Rollouts
from llm.align.scorer import Scorer
from llm.align.settings.adapter import AdapterSettings, LoraConfig, Schedule
from llm.align.settings.paired import PairedSettings
from llm.align.settings.policy import REWARD_MODEL, PolicySettings
from llm.align.train_adapter import ItemsJob, adapt
from llm.align.train_policy import PolicyJob, learn
from llm.model.directory import WEIGHTS_NAME
from llm.model.transformer import CausalLM
from llm.runtime.agreement import Ranks
from llm.training.guards import Blame
from llm.training.segment import Task

LORA = LoraConfig(8, 16)
TRAINING, HELD_OUT = 51_200, 1000  # pairs
TARGETS = {"ceiling": 0.02, "ordered": 0.95, "gain": 0.5, "length": 0.1}


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


def told(kind: type, steps: int, batch: int, rate: float, **more: object):  # noqa: ANN201
    """A slice of the common settings."""
    schedule = Schedule(steps=steps, batch_size=batch, learning_rate=rate, warmup_steps=steps // 20)
    return kind(schedule=schedule, seed=0, dtype="float32", lora=LORA, max_tokens=CONFIG.context_length, **more)


def of_job(world: World, settings: AdapterSettings, output: Path) -> dict:
    output.mkdir(parents=True)
    base = output.with_suffix(".base")  # whose digest an adapter has
    base.mkdir()
    save_model(world.model(), str(base / WEIGHTS_NAME))
    blame = Blame("truth", "lower the rate")
    return {
        "task": Task(settings, None, "digest", blame), "output": output, "scratch": output.with_suffix(".scratch"),
        "logs": None, "deadline": math.inf, "hang_seconds": 0, "base": base, "data": Path(), "base_name": "base",
    }  # fmt: skip


def on_pairs(world: World, method: Method, settings: AdapterSettings, pairs: list[Pair], output: Path) -> None:
    job = ItemsJob(method=method, read=read_pairs, **of_job(world, settings, output))
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
        totals = [chosen(answer_log_probs(each, part), part).split(counts) for each in (model, reference)]
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
    job = PolicyJob(functions=None, reward=None, **of_job(world, settings, output))
    scorer = Scorer(scorer.model, PAD)  # its scale is of this run
    rollouts = Rollouts(prompts, prompts, settings, {}, Symbols(), PAD, Ranks(0, 1), job.scratch / "rollouts", scorer)
    learn(job, CONFIG, world.model, rollouts)
    model = world.model()
    load_adapter(model, output)
    return model


if __name__ == "__main__":
    main()
