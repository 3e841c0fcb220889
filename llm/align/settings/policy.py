"""What scripts/align/policy.py is told, by method. It imports no torch."""

from dataclasses import dataclass
from typing import Literal, get_args

from llm.align.settings.adapter import AdapterSettings
from llm.errors import InputError
from llm.settings import key

Algorithm = Literal["grpo", "dapo", "dr_grpo", "gspo", "rloo", "ppo"]
POLICIES = get_args(Algorithm)
REWARD_MODEL = "reward_model"  # the name among `rewards` of the one that is trained on preferences


@dataclass(frozen=True, kw_only=True)
class PolicyKeys:
    """Beside what every adapter is told. A schedule's batch_size counts prompts."""

    rewards: dict[str, float] = key({"sentence": 1.0, "brevity": 1.0, "variety": 0.0}, shown=False)
    """Reward functions and their weights; those of weight 0 are judges, which are watched and not learned from.
    reward_model: results/align/reward, with mean 0 and deviation 1 among the reference's answers."""
    samples: int = key(8, minimum=1)
    """Answers to a prompt; 2 or more where they are compared with each other, which PPO alone does not."""
    max_new_tokens: int = key(48, minimum=1)
    """Of an answer."""
    kl_coef: float = key(0.02, minimum=0)
    """Weight of the KL divergence from the reference model."""
    kl_bound: float = key(1.0, exclusiveMinimum=0, shown=False)
    """Nats a token; where a step's answers are further from the reference, training ends with a line."""
    clip_low: float = key(0.2, exclusiveMinimum=0, maximum=1, shown=False)
    """A ratio below 1 - clip_low is no further lowered."""
    clip_high: float = key(0.2, exclusiveMinimum=0, shown=False)
    """A ratio above 1 + clip_high is no further raised."""
    iterations: int = key(1, minimum=1, shown=False)
    """Steps on the same answers."""
    overlong_tokens: int = key(0, minimum=0, shown=False)
    """The last tokens of max_new_tokens, over which a penalty grows to 1; 0: none (DAPO's soft punishment)."""
    missing_eos_penalty: float = key(0.0, minimum=0, shown=False)
    """Taken off the reward of an answer that does not end by itself."""
    normalising_prompts: int = key(32, minimum=1, shown=False)
    """Training prompts whose answers by the reference give the reward model's mean and deviation."""
    resample: int = key(0, minimum=0, shown=False)
    """How often prompts whose answers have all one reward are replaced by others (DAPO's dynamic sampling)."""
    held_out: int = key(32, minimum=1, shown=False)
    """Prompts of the validation file that are answered before and after."""
    reward_seconds: float = key(5.0, exclusiveMinimum=0, shown=False)
    """In which a reward function has to answer."""


@dataclass(frozen=True, kw_only=True)
class CriticKeys:
    """Of PPO, whose advantages a critic finds."""

    gamma: float = key(1.0, exclusiveMinimum=0, maximum=1, shown=False)
    """By how much a reward one token later counts."""
    gae_lambda: float = key(0.95, minimum=0, maximum=1, shown=False)
    """1: advantages by what came of an answer, 0: by what the critic expects one token later."""
    value_coef: float = key(0.1, minimum=0, shown=False)
    """Weight of the critic's loss."""
    value_clip: float = key(0.2, exclusiveMinimum=0, shown=False)
    """By how much a value may leave the one of the rollout."""
    kl_target: float | None = key(None, exclusiveMinimum=0, shown=False)
    """Nats a token that kl_coef is adapted to (Ziegler et al. 2019); null: kl_coef stays."""


@dataclass(frozen=True, kw_only=True)
class PolicySettings(CriticKeys, PolicyKeys, AdapterSettings):
    """The slice."""

    algorithm: Algorithm

    def __post_init__(self) -> None:
        super().__post_init__()
        if not any(self.rewards.values()):
            raise InputError("rewards: none has a weight other than 0, so there is nothing to learn; give one a weight")
        if self.algorithm != "ppo" and self.samples < 2:
            raise InputError(
                f"samples: {self.algorithm} compares the answers to a prompt, so it needs 2 or more, not {self.samples}"
            )
        if self.max_new_tokens >= self.max_tokens:
            raise InputError(
                f"max_new_tokens: {self.max_new_tokens} leaves no room for a prompt in align.max_tokens: "
                f"{self.max_tokens}; lower it"
            )
        if self.overlong_tokens > self.max_new_tokens:
            raise InputError(
                f"overlong_tokens: {self.overlong_tokens} is more than max_new_tokens: {self.max_new_tokens}; lower it"
            )
        if self.parallel.sharding == "full":
            raise InputError(
                "align.parallel.sharding: full cannot answer prompts, since no rank has the whole model; write none"
            )
