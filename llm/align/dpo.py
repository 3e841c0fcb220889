"""Trains a LoRA adapter by direct preference optimisation (Rafailov et al. 2023, arxiv.org/abs/2305.18290, eq. 7).

loss = -log sigmoid(beta (log pi(c)/ref(c) - log pi(r)/ref(r))), c chosen, r rejected, log-probabilities summed over
response tokens. The reference is the model with its adapter switched off. It is the sigmoid loss: not IPO, without
length normalisation and label smoothing. The loss can fall while log pi(c) falls too: watch `chosen_reward`.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from llm.align.batches import Example, Pair, collate, evaluation_order, training_order
from llm.align.likelihood import response_lengths, response_log_probs, response_logits, sum_rows
from llm.align.loop import autocast, mean, mean_by, train
from llm.align.lora import adapter_off, add_lora, save_adapter
from llm.align.records import length_rule
from llm.align.settings.adapter import Schedule
from llm.align.settings.dpo import DpoSettings
from llm.model.transformer import CausalLM

EVALUATION_BATCH = 16


def dpo(
    model: CausalLM,
    training: list[Pair],
    validation: list[Pair],
    adapter: Path,
    *,
    base: str,
    settings: DpoSettings,
) -> dict:
    """Train on `training`, write the adapter to `adapter`, return what `evaluate` finds on `validation`."""
    parameters = add_lora(model, settings.lora, settings.seed)
    losses = steps(model, training, settings.schedule, settings.beta, settings.seed)
    metrics = train(parameters, losses, settings.schedule, adapter / "history.jsonl", "dpo", settings.dtype)
    save_adapter(model, settings.lora, adapter, base=base)
    metrics["trainable_parameters"] = sum(parameter.numel() for parameter in parameters)
    return metrics | evaluate(model, validation, settings.beta, settings.dtype)


def steps(
    model: CausalLM, pairs: list[Pair], schedule: Schedule, beta: float, seed: int
) -> Iterator[Callable[[], tuple[Tensor, dict]]]:
    """Yield the loss function of each step, as `train` expects it."""
    for chosen in training_order(pair_lengths(pairs), schedule.batch_size, seed, schedule.steps):
        yield partial(loss_and_rewards, model, [pairs[i] for i in chosen], beta)


def loss_and_rewards(model: CausalLM, pairs: list[Pair], beta: float) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of a batch, its mean implicit rewards, and the share of its pairs that are ranked
    right, a tie counting one half."""
    chosen_B, rejected_B = implicit_rewards(model, pairs, beta)
    extras = {
        "chosen_reward": chosen_B.mean().item(),
        "rejected_reward": rejected_B.mean().item(),
        "accuracy": (0.5 + 0.5 * torch.sign(chosen_B - rejected_B)).mean().item(),
    }
    return -F.logsigmoid(chosen_B - rejected_B).mean(), extras


def implicit_rewards(model: CausalLM, pairs: list[Pair], beta: float) -> tuple[Tensor, Tensor]:
    """Return beta log pi/ref of the chosen and the rejected sides, fp32 [B] each."""
    batch = collate(both_sides(pairs), model.config.pad_id, model.device)
    with torch.no_grad(), adapter_off(model):
        reference_B = response_log_probs(model, batch)
    reward_B = beta * (response_log_probs(model, batch) - reference_B)
    return reward_B[: len(pairs)], reward_B[len(pairs) :]


def both_sides(pairs: list[Pair]) -> list[Example]:
    """Return the chosen answers, then the rejected ones."""
    return [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]


def pair_lengths(pairs: list[Pair]) -> list[int]:
    """Return the tokens of each pair's longer side."""
    return [max(len(pair.chosen.ids), len(pair.rejected.ids)) for pair in pairs]


@torch.no_grad()
def evaluate(model: CausalLM, pairs: list[Pair], beta: float, dtype: str) -> dict:
    """Measure held-out loss, accuracy (all, by kind), mean rewards and margin, the length rule, and the distance moved.

    `kl_per_token`: exact KL(pi || ref) of the next-token distribution, averaged over the positions of the held-out
    chosen answers. It is measured on given text, not on the policy's own samples.
    """
    kinds, chosen_rewards, rejected_rewards, losses = [], [], [], []
    divergence, tokens = 0.0, 0
    for selected in evaluation_order(pair_lengths(pairs), EVALUATION_BATCH):
        some = [pairs[i] for i in selected]
        with autocast(model.device, dtype):
            chosen_B, rejected_B, added, positions = rewards_and_divergence(model, some, beta)
        losses += (-F.logsigmoid(chosen_B - rejected_B)).tolist()
        chosen_rewards += chosen_B.tolist()
        rejected_rewards += rejected_B.tolist()
        kinds += [pair.kind for pair in some]
        divergence, tokens = divergence + added, tokens + positions
    margins = [c - r for c, r in zip(chosen_rewards, rejected_rewards, strict=True)]
    hits = [0.5 if margin == 0 else float(margin > 0) for margin in margins]
    return {
        "held_out_pairs": len(pairs),
        "held_out_loss": mean(losses),
        "held_out_accuracy": mean(hits),
        "held_out_accuracy_by_kind": mean_by(kinds, hits),
        "chosen_reward": mean(chosen_rewards),
        "rejected_reward": mean(rejected_rewards),
        "margin": mean(margins),
        "kl_per_token": divergence / tokens,
        "length_rule": length_rule([(len(pair.chosen.ids), len(pair.rejected.ids)) for pair in pairs]),
    }


def rewards_and_divergence(model: CausalLM, pairs: list[Pair], beta: float) -> tuple[Tensor, Tensor, float, int]:
    """Return implicit_rewards, the exact KL(pi || ref) in nats summed over the chosen answers' positions, and their
    number.

    Each of the two models runs once and gives all logits [N, V]; training needs only one log-probability a token.
    """
    batch = collate(both_sides(pairs), model.config.pad_id, model.device)
    logits_NV, target_N = response_logits(model, batch)
    policy_NV = logits_NV.log_softmax(-1)
    with adapter_off(model):
        reference_NV = response_logits(model, batch)[0].log_softmax(-1)
    ratio_NV = policy_NV - reference_NV
    reward_B = beta * sum_rows(ratio_NV.gather(1, target_N[:, None]).squeeze(1), batch)
    divergence_B = sum_rows((policy_NV.exp() * ratio_NV).sum(-1), batch)[: len(pairs)]
    positions = int(response_lengths(batch)[: len(pairs)].sum())
    return reward_B[: len(pairs)], reward_B[len(pairs) :], divergence_B.double().sum().item(), positions
