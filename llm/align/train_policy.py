"""Trains an adapter by a policy gradient, on the engine that pretrains: the model answers prompts, functions rate the
answers, and a row of llm/align/policy.py's table makes a loss of them.

Held-out prompts are answered before and after. Functions of weight 0 are judges: where what is learned from rises there
and a judge falls, both beyond their noise, the policy may have found what the rewards forgot, and is told of.
"""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from llm.align.answers import Answer, distance_of, seen_of
from llm.align.base import load_base
from llm.align.method import Method
from llm.align.ppo import keep_critic
from llm.align.prompts import read_prompts
from llm.align.records import mean, standard_error
from llm.align.rewards import load_rewards
from llm.align.rollouts import NAME, Rollouts
from llm.align.rows import find_split
from llm.align.scorer import load_scorer
from llm.align.settings.policy import REWARD_MODEL, PolicySettings
from llm.align.train_adapter import AdapterJob, loader, task_of, trained_by
from llm.command import Surroundings
from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM
from llm.runtime.agreement import Ranks
from llm.training.run import run_job

BEYOND = 2.0  # standard errors of a difference that is no noise


@dataclass(frozen=True, kw_only=True)
class PolicyJob(AdapterJob[PolicySettings]):
    """functions: the file of the user's reward functions, or None. reward: the reward model's adapter, or None."""

    functions: Path | None
    reward: Path | None


def train_policy(
    base: Path,
    data: Path,
    adapter: Path,
    functions: Path | None,
    reward: Path | None,
    base_name: str,
    settings: PolicySettings,
    surroundings: Surroundings,
) -> dict:
    """Train an adapter on the ranks of align.parallel and write it to the empty directory `adapter`. The other
    arguments are the fields of PolicyJob. Returns the metrics."""
    return run_job(
        PolicyJob,
        train_rank,
        surroundings,
        task=task_of(settings.algorithm, settings, base),
        output=adapter,
        base=base,
        data=data,
        base_name=base_name,
        functions=functions,
        reward=reward,
    )


def train_rank(job: PolicyJob) -> dict:
    """Read model, prompts and functions, and train, on every rank."""
    settings = job.settings
    model, tokenizer = load_base(job.base, settings.max_tokens)
    room = settings.max_tokens - settings.max_new_tokens
    training, too_long = read_prompts(find_split(job.data, "train"), tokenizer, room)
    validation, _ = read_prompts(find_split(job.data, "validation"), tokenizer, room)
    named = [name for name in settings.rewards if name != REWARD_MODEL]
    rewards = load_rewards(named, job.functions, settings.reward_seconds)
    scorer = load_scorer(job.base, job.reward, job.base_name, settings)
    world_size = settings.parallel.world_size
    ranks = Ranks(torch.distributed.get_rank() if world_size > 1 else 0, world_size)
    config = model.config
    prompts = training, validation[: settings.held_out]
    rollouts = Rollouts(*prompts, settings, rewards, tokenizer, config.pad_id, ranks, job.scratch / "rollouts", scorer)
    found = learn(job, config, loader(job, model), rollouts)
    if ranks.rank == 0 and found["reward_hacking"]:
        print(
            f"warning: {settings.algorithm}: held out, the reward rose and {', '.join(found['reward_hacking'])} fell: "
            "look at the answers in rollouts.parquet",
            file=sys.stderr,
        )
    return found | {"prompts": len(training), "too_long": too_long}


def learn(job: PolicyJob, config: ModelConfig, load: Callable[[], CausalLM], rollouts: Rollouts) -> dict:
    """Train the model that `load` makes on its rollouts, measure it by held-out prompts, write the adapter and all
    answers."""
    settings = job.settings
    names = [name for name in rollouts.seen if name.startswith("reward")]

    def leave(directory: Path, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        rollouts.write(directory / NAME)
        return keep_critic(directory, weights)

    method = Method(
        settings.algorithm,
        lambda model, settings: rollouts.policy(model),
        lambda engine, prompts, pad: measured(rollouts.held_out_answers(), rollouts.seen),
        lambda settings, vocab_size, prompts: math.inf,  # a policy's loss says nothing of how good it is
        measured_before=tuple(each for name in names for each in (name, f"{name}_error")),
        leave=leave,
    )
    found = trained_by(job, method, config, load, rollouts, [], [])
    return found | {"reward_hacking": fallen(found, settings.rewards)}


def measured(answers: Sequence[Answer], seen: Sequence[str]) -> dict:
    """Return the means of what is seen of held-out answers, their standard errors, and the mean of log p/ref of a
    token."""
    found: dict[str, float] = {"kl_per_token": distance_of([answers])}
    for name, values in zip(seen, zip(*map(seen_of, answers), strict=True), strict=True):
        found |= {name: mean(values), f"{name}_error": standard_error(values)}
    return found


def fallen(found: dict, weights: Mapping[str, float]) -> list[str]:
    """Return the judges that fell while the reward rose, both beyond their noise."""

    def moved(name: str) -> float:
        """By how many standard errors."""
        error = math.hypot(found[f"{name}_error"], found[f"{name}_error_before"])
        return (found[name] - found[f"{name}_before"]) / error if error else 0.0

    if moved("reward") < BEYOND:
        return []
    return [name for name, weight in weights.items() if weight == 0 and moved(f"reward_{name}") < -BEYOND]
