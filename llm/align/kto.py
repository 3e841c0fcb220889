"""Kahneman-Tversky optimisation (Ethayarajh et al. 2024, arXiv 2402.01306, equations 7 and 8): of answers that are
labelled good or bad one by one, without pairs.

loss = w_d (1 - sigmoid(beta (log p/ref(y) - z))) for a good answer y, w_u (1 - sigmoid(beta (z - log p/ref(y)))) for a
bad one. z = max(0, mean over the batch of log p/ref of mismatched answers), without gradient, estimates KL(p || ref).
It is of the *whole* batch, so it is computed before any part's loss. Legend: B items.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from llm.align.batches import Batch, Labelled
from llm.align.likelihood import response_log_probs
from llm.align.lora import adapter_off
from llm.align.method import Method, mean_by, scored
from llm.align.records import mean
from llm.align.settings.kto import KtoSettings
from llm.model.transformer import CausalLM
from llm.training.engine import Engine
from llm.training.objective import DTYPES, Objective


class KahnemanTversky(Objective):
    """The loss above, its mean over the items of a batch."""

    stage = "align.kto"
    figures = ("desirable_reward", "undesirable_reward", "kl")
    constants = True

    def __init__(self, model: CausalLM, dtype: torch.dtype, settings: KtoSettings) -> None:
        super().__init__(model, dtype)
        self.settings = settings

    def ratios(self, batch: Batch) -> Tensor:
        """Return log p/ref of each sequence."""
        with self.products(batch.tokens_BT.device):
            with torch.no_grad(), adapter_off(self.model):
                reference_B = response_log_probs(self.model, batch)
            return response_log_probs(self.model, batch) - reference_B

    def prepare(self, part: Batch, batch_size: int) -> Tensor:
        return (self.ratios(part.side(1)).double().sum() / batch_size)[None]

    def loss(self, part: Batch, batch_size: int, constants: Tensor) -> tuple[Tensor, Tensor]:
        z = constants[0].float().clamp_min(0)
        reward_B = self.settings.beta * self.ratios(part.side(0))
        loss_B = self.losses(reward_B, part.values_B > 0, z)
        good_B = part.values_B
        figures = torch.stack(((reward_B * good_B).sum(), (reward_B * (1 - good_B)).sum(), z * len(part)))
        return loss_B.sum() / batch_size, figures / batch_size

    def losses(self, reward_B: Tensor, label_B: Tensor, z: Tensor) -> Tensor:
        """Return the loss of each item, of its reward beta log p/ref."""
        settings = self.settings
        good_B = settings.desirable_weight * (1 - torch.sigmoid(reward_B - settings.beta * z))
        bad_B = settings.undesirable_weight * (1 - torch.sigmoid(settings.beta * z - reward_B))
        return torch.where(label_B, good_B, bad_B)

    def scores(self, part: Batch) -> Tensor:
        """Return rewards, labels, and log p/ref of the mismatched answers: [B, 3]."""
        rewards_B = self.settings.beta * self.ratios(part.side(0))
        return torch.stack((rewards_B, part.values_B, self.ratios(part.side(1))), 1)


def kahneman_tversky(model: CausalLM, settings: KtoSettings) -> KahnemanTversky:
    return KahnemanTversky(model, DTYPES[settings.dtype], settings)


def evaluate(engine: Engine, items: Sequence[Labelled], pad: int) -> dict:
    """Measure held-out rewards of good and of bad answers, how often a good one's is above zero and a bad one's is not,
    and the mean log p/ref of mismatched answers, an estimate of the KL divergence."""
    kinds, (reward_B, label_B, mismatched_B) = scored(engine, items, pad)
    good_B = label_B > 0
    hits = ((reward_B > 0) == good_B).double().tolist()
    return {
        "held_out_items": len(items),
        "held_out_accuracy": mean(hits),
        "held_out_accuracy_by_kind": mean_by(kinds, hits),
        "desirable_reward": mean(reward_B[good_B].tolist()),
        "undesirable_reward": mean(reward_B[~good_B].tolist()),
        "kl": max(0.0, mismatched_B.mean().item()),
    }


def guessing(settings: KtoSettings, vocab_size: int, items: Sequence[Labelled]) -> float:
    """Return the loss of the reference, with as many good answers as bad ones."""
    return (settings.desirable_weight + settings.undesirable_weight) / 4


KTO = Method("kto", kahneman_tversky, evaluate, guessing)
