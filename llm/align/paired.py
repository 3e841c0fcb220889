"""Losses on preference pairs, as a table: DPO, IPO, SimPO, ORPO. They differ in what of the two answers they compare.

Legend: B pairs; c the chosen answer, r the rejected one; log p summed over an answer's tokens, |y| of them. The
reference is the model with its adapter switched off. A loss can fall while log p(c) falls too: watch `chosen_reward`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from llm.align.batches import Batch, Pair, collate, evaluation_order, longest_sides
from llm.align.likelihood import response_lengths, response_log_probs, response_logits, sum_rows
from llm.align.lora import adapter_off
from llm.align.method import EVALUATION_BATCH, Method, hits_of, ranked, scored
from llm.align.settings.paired import PairedSettings
from llm.model.transformer import CausalLM
from llm.runtime.device import default_device
from llm.training.engine import Engine
from llm.training.objective import DTYPES, Objective


@dataclass(frozen=True)
class Sides:
    """What is known of both answers of each pair, fp32 [B] each: log p of the model, log p of the reference (None for a
    loss without one), and |y|; first of the chosen answers, then of the rejected ones."""

    policy: tuple[Tensor, Tensor]
    reference: tuple[Tensor, Tensor] | None
    length: tuple[Tensor, Tensor]

    def ratios(self) -> tuple[Tensor, Tensor]:
        """Return log p/ref of both."""
        assert self.reference is not None
        return self.policy[0] - self.reference[0], self.policy[1] - self.reference[1]

    def means(self) -> tuple[Tensor, Tensor]:
        """Return log p per token of both."""
        return self.policy[0] / self.length[0], self.policy[1] / self.length[1]


@dataclass(frozen=True)
class PairedLoss:
    """rewards: of both answers, whose difference says which is preferred. loss: of each pair, [B], of its sides and its
    rewards. refers: does it need a reference? chance: the loss of a model that prefers neither."""

    rewards: Callable[[Sides, PairedSettings], tuple[Tensor, Tensor]]
    loss: Callable[[Sides, tuple[Tensor, Tensor], PairedSettings], Tensor]
    refers: bool
    chance: Callable[[PairedSettings, int], float]


def implicit_rewards(sides: Sides, settings: PairedSettings) -> tuple[Tensor, Tensor]:
    """Return beta log p/ref (Rafailov et al. 2023, equation 5, without the partition function, which cancels)."""
    chosen_B, rejected_B = sides.ratios()
    return chosen_B * settings.beta, rejected_B * settings.beta


def average_rewards(sides: Sides, settings: PairedSettings) -> tuple[Tensor, Tensor]:
    """Return beta log p / |y| (Meng et al. 2024, equation 4)."""
    chosen_B, rejected_B = sides.means()
    return settings.beta * chosen_B, settings.beta * rejected_B


def dpo(sides: Sides, rewards: tuple[Tensor, Tensor], settings: PairedSettings) -> Tensor:
    """-log sigmoid(beta log p/ref (c) - beta log p/ref (r)) (Rafailov et al. 2023, arXiv 2305.18290, equation 7)."""
    return -F.logsigmoid(rewards[0] - rewards[1])


def ipo(sides: Sides, rewards: tuple[Tensor, Tensor], settings: PairedSettings) -> Tensor:
    """(log p/ref (c) - log p/ref (r) - 1 / (2 beta))^2, the logarithms per token (Azar et al. 2023, arXiv 2310.12036,
    equation 17). Their sums would be compared with a constant whatever the length; the authors confirmed it to TRL."""
    chosen_B, rejected_B = sides.ratios()
    difference_B = chosen_B / sides.length[0] - rejected_B / sides.length[1]
    return (difference_B - 1 / (2 * settings.beta)).square()


def simpo(sides: Sides, rewards: tuple[Tensor, Tensor], settings: PairedSettings) -> Tensor:
    """-log sigmoid(beta log p(c) / |c| - beta log p(r) / |r| - gamma) (Meng et al. 2024, arXiv 2405.14734, eq. 6)."""
    return -F.logsigmoid(rewards[0] - rewards[1] - settings.margin)


def orpo(sides: Sides, rewards: tuple[Tensor, Tensor], settings: PairedSettings) -> Tensor:
    """-log P(c) - beta log sigmoid(log odds(c) - log odds(r)), log P per token, odds = P / (1 - P) (Hong et al. 2024,
    arXiv 2403.07691, equations 2, 4, 6 and 7; beta is their lambda)."""
    chosen_B, rejected_B = sides.means()
    log_odds_B = chosen_B - rejected_B - (log_one_minus_exp(chosen_B) - log_one_minus_exp(rejected_B))
    return -chosen_B - settings.beta * F.logsigmoid(log_odds_B)


def log_one_minus_exp(x: Tensor) -> Tensor:
    """Return log(1 - e^x) for x < 0, precise near 0 and far from it (Maechler 2012)."""
    return torch.where(x > -math.log(2), (-x.expm1()).log(), (-x.exp()).log1p())


LOSSES = {
    "dpo": PairedLoss(implicit_rewards, dpo, True, lambda settings, vocab_size: math.log(2)),
    "ipo": PairedLoss(implicit_rewards, ipo, True, lambda settings, vocab_size: 1 / (2 * settings.beta) ** 2),
    "simpo": PairedLoss(
        average_rewards, simpo, False, lambda settings, vocab_size: math.log1p(math.exp(settings.margin))
    ),
    "orpo": PairedLoss(
        average_rewards, orpo, False, lambda settings, vocab_size: math.log(vocab_size) + settings.beta * math.log(2)
    ),
}


class Paired(Objective):
    """A loss of the table, its mean over the pairs of a batch."""

    figures = ("chosen_reward", "rejected_reward", "accuracy")

    def __init__(self, model: CausalLM, dtype: torch.dtype, settings: PairedSettings) -> None:
        super().__init__(model, dtype)
        self.settings, self.paired = settings, LOSSES[settings.loss]
        self.stage = f"align.{settings.loss}"

    def sides(self, batch: Batch) -> Sides:
        """Run the model, and the reference if the loss has one, over both answers of each pair at once."""
        reference = None
        with self.products(batch.tokens_BT.device):
            if self.paired.refers and batch.reference_B is not None:
                reference = halves(batch.reference_B)
            elif self.paired.refers:
                with torch.no_grad(), adapter_off(self.model):
                    reference = halves(response_log_probs(self.model, batch))
            policy = halves(response_log_probs(self.model, batch))
        return Sides(policy, reference, halves(response_lengths(batch).float()))

    def loss(self, part: Batch, batch_size: int) -> tuple[Tensor, Tensor]:
        sides = self.sides(part)
        chosen_B, rejected_B = rewards = self.paired.rewards(sides, self.settings)
        hits_B = hits_of(chosen_B, rejected_B)
        figures = torch.stack([values_B.sum() for values_B in (chosen_B, rejected_B, hits_B)])
        return self.paired.loss(sides, rewards, self.settings).sum() / batch_size, figures / batch_size

    def scores(self, part: Batch) -> Tensor:
        """Return loss, rewards of the chosen and the rejected answers, the exact KL(p || ref) in nats summed over the
        chosen answer's positions, and their number: [B, 5].

        Each of the two models runs once and gives all logits [N, V]; training needs only one log-probability a token.
        """
        with self.products(part.tokens_BT.device):
            logits_NV, target_N = response_logits(self.model, part)
            policy_NV = logits_NV.log_softmax(-1)
            with adapter_off(self.model):
                reference_NV = response_logits(self.model, part)[0].log_softmax(-1)
        policy, reference = (
            halves(sum_rows(log_prob_NV.gather(1, target_N[:, None]).squeeze(1), part))
            for log_prob_NV in (policy_NV, reference_NV)
        )
        lengths_B = halves(response_lengths(part).float())
        sides = Sides(policy, reference, lengths_B)
        rewards = self.paired.rewards(sides, self.settings)
        divergence_B = sum_rows((policy_NV.exp() * (policy_NV - reference_NV)).sum(-1), part)
        loss_B = self.paired.loss(sides, rewards, self.settings)
        return torch.stack((loss_B, *rewards, divergence_B[: len(part)], lengths_B[0]), 1)


def halves(values_B: Tensor) -> tuple[Tensor, Tensor]:
    """Return what is of the chosen answers, and what is of the rejected ones."""
    chosen_B, rejected_B = values_B.chunk(2)
    return chosen_B, rejected_B


def paired(model: CausalLM, settings: PairedSettings) -> Paired:
    return Paired(model, DTYPES[settings.dtype], settings)


def evaluate(engine: Engine, pairs: Sequence[Pair], pad: int) -> dict:
    """Measure held-out loss, accuracy (all, by kind), mean rewards and margin, the length rule, and the distance moved.

    `kl_per_token`: exact KL(p || ref) of the next-token distribution, averaged over the positions of the held-out
    chosen answers. It is measured on given text, not on the policy's own samples.
    """
    kinds, (loss_B, chosen_B, rejected_B, divergence_B, positions_B) = scored(engine, pairs, pad)
    return ranked(pairs, kinds, loss_B, chosen_B, rejected_B) | {
        "chosen_reward": chosen_B.mean().item(),
        "rejected_reward": rejected_B.mean().item(),
        "margin": (chosen_B - rejected_B).mean().item(),
        "kl_per_token": (divergence_B.sum() / positions_B.sum()).item(),
    }


def guessing(settings: PairedSettings, vocab_size: int, pairs: Sequence[Pair]) -> float:
    """Return the loss of a model that prefers neither side."""
    return LOSSES[settings.loss].chance(settings, vocab_size)


def with_references(
    load: Callable[[], CausalLM], pairs: Sequence[Pair], settings: PairedSettings, pad: int
) -> Sequence[Pair]:
    """Return the pairs with what the reference, which `load` makes, says of them, where that is asked for."""
    if not settings.precompute_reference or not LOSSES[settings.loss].refers:
        return pairs
    device = default_device()
    reference = paired(load().to(device), settings)
    found = list(pairs)
    for selected in evaluation_order(longest_sides(pairs), EVALUATION_BATCH):
        batch = collate([pairs[index] for index in selected], pad).to(device)
        with torch.no_grad(), reference.products(device):
            sides = halves(response_log_probs(reference.model, batch))
        for index, chosen, rejected in zip(selected, *(side.tolist() for side in sides), strict=True):
            found[index] = replace(pairs[index], reference=(chosen, rejected))
    return found


METHODS = {loss: Method(loss, paired, evaluate, guessing, prepare=with_references) for loss in LOSSES}
