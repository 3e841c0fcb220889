"""A toy policy for tests: it answers prompts of bytes, and is rewarded for low ones."""

import math
from pathlib import Path

import torch

from llm.align.method import Method
from llm.align.prompts import Prompt
from llm.align.reward import RewardModel
from llm.align.rewards import Reward
from llm.align.rollouts import Rollouts
from llm.align.scorer import Scorer
from llm.align.settings.policy import REWARD_MODEL, PolicySettings
from llm.align.train_policy import PolicyJob
from llm.runtime.agreement import Ranks
from llm.training.guards import Blame
from llm.training.segment import Task
from tests.llm.align.toy import LORA, base_of, random_model, schedule


class Bytes:
    """Ids 8..263 are bytes; 2 ends an answer."""

    eos = 2

    def decode(self, ids: list[int]) -> str:
        return bytes(max(0, i - 8) for i in ids).decode("latin-1")


def low(prompt: str, answer: str, row: dict) -> float:
    """The share of the answer's bytes that are below 128."""
    return sum(character < "\x80" for character in answer) / max(1, len(answer))


def short(prompt: str, answer: str, row: dict) -> float:
    return 1 / (1 + len(answer))


REWARDS: dict[str, Reward] = {"low": low, "short": short}


def policy_settings(algorithm: str = "grpo", **changes: object) -> PolicySettings:
    told = {
        "algorithm": algorithm,
        "lora": LORA,
        "schedule": schedule(4, 4, 1e-2, 1),
        "seed": 1,
        "dtype": "float32",
        "rewards": {"low": 1.0, "short": 0.0},
        "samples": 6,
        "max_new_tokens": 10,
        "max_tokens": 40,
        "kl_coef": 0.05,
        "held_out": 6,
        "kl_bound": 50.0,
    }
    return PolicySettings(**told | changes)


def prompts(n: int, first: int = 0) -> list[Prompt]:
    found = []
    for number in range(first, first + n):
        ids = [1, 6, *(8 + (number * 7 + place) % 250 for place in range(number % 5 + 2)), 7]
        found.append(Prompt(ids, f"prompt {number}", {}, "k"))
    return found


def rollouts_of(
    settings: PolicySettings, directory: Path, ranks: Ranks | None = None, scorer: Scorer | None = None
) -> Rollouts:
    told = prompts(11), prompts(settings.held_out, 100)
    rewards = {name: REWARDS.get(name, low) for name in settings.rewards if name != REWARD_MODEL}
    return Rollouts(*told, settings, rewards, Bytes(), 3, ranks or Ranks(0, 1), directory / "rollouts", scorer)


def scorer_of(score: float | None = None) -> Scorer:
    """A reward model with random weights; score: all weights of its projection."""
    model = RewardModel(random_model())
    with torch.no_grad():
        if score is None:
            model.score.weight.normal_(generator=torch.Generator().manual_seed(9))
        else:
            model.score.weight.fill_(score)
    return Scorer(model.eval(), 3)


def method_of(rollouts: Rollouts) -> Method:
    return Method("toy", lambda model, settings: rollouts.policy(model), lambda *_: {}, lambda *_: math.inf)


def job_of(settings: PolicySettings, directory: Path) -> PolicyJob:
    (directory / "out").mkdir(parents=True)
    return PolicyJob(
        task=Task(settings, None, "digest", Blame("grpo", "lower align.grpo.schedule.learning_rate")),
        output=directory / "out",
        scratch=directory / "scratch",
        logs=None,
        deadline=math.inf,
        hang_seconds=0,
        base=base_of(directory / "base"),
        data=Path(),
        base_name="../../models/sft",
        functions=None,
        reward=None,
    )
