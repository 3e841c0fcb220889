"""Rates answers by the reward model that preferences trained. Its scores have no scale of their own, so they are
brought to mean 0 and deviation 1 among the reference's answers."""

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import torch

from llm.align.base import load_base
from llm.align.batches import Example, collate
from llm.align.identity import refuse_another_base
from llm.align.lora import CONFIG_NAME, base_of
from llm.align.reward import RewardModel, load_reward_model
from llm.align.settings.policy import REWARD_MODEL, PolicySettings
from llm.errors import InputError
from llm.training.objective import DTYPES


class Scorer:
    """`scores` are the model's own until `normalise` was called."""

    def __init__(self, model: RewardModel, pad: int) -> None:
        self.model, self.pad = model, pad
        self.mean, self.deviation = 0.0, 1.0
        self.normalised = False

    def to(self, device: torch.device) -> None:
        """Move the model."""
        self.model.to(device)

    @torch.no_grad()
    def scores(self, texts: Sequence[Sequence[int]]) -> list[float]:
        """Rate conversations, each of which ends with an answer. Raises InputError for one that gets no finite
        number."""
        examples = [Example(np.asarray(ids), np.ones(len(ids), dtype=bool), "") for ids in texts]
        rewards = self.model.rewards(collate(examples, self.pad).to(self.model.model.device)).tolist()
        wrong = next((reward for reward in rewards if not math.isfinite(reward)), None)
        if wrong is not None:
            raise InputError(f"reward {REWARD_MODEL}: {wrong} is no finite number; train results/align/reward again")
        return [(reward - self.mean) / self.deviation for reward in rewards]

    def normalise(self, scores: Sequence[float]) -> None:
        """Take these as the reference's. Raises InputError where they are all alike."""
        if len(set(scores)) < 2:
            raise InputError(
                f"reward {REWARD_MODEL} rates all {len(scores)} answers of the reference alike, so there is nothing to "
                "learn from it; train align.reward longer, or raise normalising_prompts"
            )
        self.mean, self.deviation, self.normalised = fmean(scores), stdev(scores), True


def load_scorer(base: Path, adapter: Path | None, base_name: str, settings: PolicySettings) -> Scorer | None:
    """Return the reward model where the rewards name it. base, base_name: the policy's. Raises InputError where its
    adapter was made on another model, and where there is none."""
    if REWARD_MODEL not in settings.rewards:
        return None
    if adapter is None:
        raise InputError(f"rewards: {REWARD_MODEL} needs an adapter directory of a reward model; give --reward")
    if base_of(adapter) != base_name:
        raise InputError(
            f"{adapter / CONFIG_NAME}: the reward model was trained on {base_of(adapter)}, the policy begins at "
            f"{base_name}; both need one base"
        )
    model, tokenizer = load_base(base, settings.max_tokens)
    refuse_another_base(adapter, base)
    return Scorer(load_reward_model(model, adapter, DTYPES[settings.dtype]), model.config.pad_id)
