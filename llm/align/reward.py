"""Trains a reward model: the aligned model's hidden state at the last token, projected to one number (Bradley-Terry).

loss = -log sigmoid(r(prompt, chosen) - r(prompt, rejected)) (Ouyang et al. 2022, equation 1). The body learns through
a LoRA adapter, the projection `score` (1, d_model) from zero; both load in PEFT as a LlamaForSequenceClassification
with one label. Rewards are not normalised: whoever uses them in reinforcement learning does that.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llm.align.batches import Batch, Pair, collate, evaluation_order, training_order
from llm.align.loop import autocast, mean, mean_by, train
from llm.align.lora import add_lora, load_adapter, save_adapter
from llm.align.records import length_rule
from llm.align.settings.adapter import AdapterSettings, Schedule
from llm.errors import InputError
from llm.model.transformer import CausalLM

EVALUATION_BATCH = 32


class RewardModel(nn.Module):
    """A CausalLM without its output layer, and `score`, which starts at zero, so that all answers are equal at
    first."""

    def __init__(self, model: CausalLM) -> None:
        super().__init__()
        self.model = model
        self.score = nn.Linear(model.config.d_model, 1, bias=False, device=model.device)
        nn.init.zeros_(self.score.weight)

    def forward(self, batch: Batch) -> Tensor:
        """Return rewards, fp32 [B], from the hidden state (after the final norm) of each sequence's last real token."""
        x_BTD = self.model.hidden(batch.tokens_BT)
        x_BD = x_BTD[torch.arange(len(batch.length_B), device=x_BTD.device), batch.length_B - 1]
        return self.score(x_BD).squeeze(-1).float()


def load_reward_model(model: CausalLM, adapter: Path) -> RewardModel:
    """Load the reward model of an adapter directory that `reward` wrote, on the `model` it was trained on."""
    rest = load_adapter(model, adapter)
    result = RewardModel(model)
    if set(rest) != {"score.weight"} or rest["score.weight"].shape != result.score.weight.shape:
        raise InputError(f"{adapter}: no reward adapter of this model: score.weight is missing or of another size")
    result.score.weight.data.copy_(rest["score.weight"])
    return result.eval()


def reward(
    model: CausalLM,
    training: list[Pair],
    validation: list[Pair],
    adapter: Path,
    *,
    base: str,
    settings: AdapterSettings,
) -> dict:
    """Train on `training`, write the adapter to `adapter`, return the accuracy on `validation` (held-out prompts)."""
    parameters = add_lora(model, settings.lora, settings.seed)
    judge = RewardModel(model)
    parameters += judge.score.parameters()
    losses = steps(judge, training, settings.schedule, settings.seed)
    metrics = train(parameters, losses, settings.schedule, adapter / "history.jsonl", "reward", settings.dtype)
    extra = {"score.weight": judge.score.weight}
    save_adapter(model, settings.lora, adapter, base=base, task_type="SEQ_CLS", extra=extra)
    return (
        metrics
        | {"trainable_parameters": sum(p.numel() for p in parameters)}
        | evaluate(judge, validation, settings.dtype)
    )


def steps(
    judge: RewardModel, pairs: list[Pair], schedule: Schedule, seed: int
) -> Iterator[Callable[[], tuple[Tensor, dict]]]:
    """Yield the loss function of each step, as `train` expects it."""
    for chosen in training_order(pair_lengths(pairs), schedule.batch_size, seed, schedule.steps):
        yield partial(loss_and_accuracy, judge, [pairs[i] for i in chosen])


def loss_and_accuracy(judge: RewardModel, pairs: list[Pair]) -> tuple[Tensor, dict[str, float]]:
    """Return the Bradley-Terry loss of a batch, and the share of its pairs that are ranked right."""
    chosen_B, rejected_B = pair_rewards(judge, pairs)
    return bradley_terry(chosen_B, rejected_B), {
        "accuracy": (0.5 + 0.5 * torch.sign(chosen_B - rejected_B)).mean().item()
    }


def bradley_terry(chosen_B: Tensor, rejected_B: Tensor) -> Tensor:
    """Return the mean of -log sigmoid(chosen - rejected)."""
    return -F.logsigmoid(chosen_B - rejected_B).mean()


def pair_rewards(judge: RewardModel, pairs: list[Pair]) -> tuple[Tensor, Tensor]:
    """Return the rewards of the chosen and the rejected sides, [B] each, from one pass of 2 B rows."""
    examples = [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]
    reward_B = judge(collate(examples, judge.model.config.pad_id, judge.model.device))
    return reward_B[: len(pairs)], reward_B[len(pairs) :]


def pair_lengths(pairs: list[Pair]) -> list[int]:
    """Return the tokens of each pair's longer side."""
    return [max(len(pair.chosen.ids), len(pair.rejected.ids)) for pair in pairs]


@torch.no_grad()
def evaluate(judge: RewardModel, pairs: list[Pair], dtype: str) -> dict:
    """Measure held-out accuracy, in all and by kind, the loss, and what a rule that sees only token counts would
    reach."""
    kinds, hits, losses = [], [], []
    for chosen in evaluation_order(pair_lengths(pairs), EVALUATION_BATCH):
        with autocast(judge.model.device, dtype):
            chosen_B, rejected_B = pair_rewards(judge, [pairs[i] for i in chosen])
        hits += (0.5 + 0.5 * torch.sign(chosen_B - rejected_B)).tolist()  # a tie is half a hit
        losses += (-F.logsigmoid(chosen_B - rejected_B)).tolist()
        kinds += [pairs[i].kind for i in chosen]
    return {
        "held_out_pairs": len(pairs),
        "held_out_loss": mean(losses),
        "held_out_accuracy": mean(hits),
        "held_out_accuracy_by_kind": mean_by(kinds, hits),
        "length_rule": length_rule([(len(pair.chosen.ids), len(pair.rejected.ids)) for pair in pairs]),
    }
