"""Fine-tunes a LoRA adapter by supervision: cross-entropy on response tokens only; prompt and padding are masked.

Each sequence has one conversation (there is no packing), and only the adapter learns.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from llm.align.batches import Example, collate, evaluation_order, training_order
from llm.align.likelihood import response_lengths, response_log_probs, response_logits
from llm.align.loop import autocast, mean_by, train
from llm.align.lora import add_lora, save_adapter
from llm.align.settings.adapter import AdapterSettings, Schedule
from llm.model.transformer import CausalLM
from llm.progress import progress

EVALUATION_BATCH = 32


def sft(
    model: CausalLM,
    training: list[Example],
    validation: list[Example],
    adapter: Path,
    *,
    base: str,
    settings: AdapterSettings,
) -> dict:
    """Train an adapter on `training`, write it to `adapter`, return the losses on `validation` before and after."""
    parameters = add_lora(model, settings.lora, settings.seed)
    before, _ = evaluate(model, validation, settings.dtype)
    progress(f"sft: validation loss {before:.3f} before training")
    losses = steps(model, training, settings.schedule, settings.seed)
    metrics = train(parameters, losses, settings.schedule, adapter / "history.jsonl", "sft", settings.dtype)
    after, by_kind = evaluate(model, validation, settings.dtype)
    save_adapter(model, settings.lora, adapter, base=base)
    return metrics | {
        "trainable_parameters": sum(parameter.numel() for parameter in parameters),
        "validation_loss_before": before,
        "validation_loss_after": after,
        "validation_loss_after_by_kind": by_kind,
    }


def steps(
    model: CausalLM, examples: list[Example], schedule: Schedule, seed: int
) -> Iterator[Callable[[], tuple[Tensor, dict]]]:
    """Yield the loss function of each step, as `train` expects it."""
    lengths = [len(example.ids) for example in examples]
    for chosen in training_order(lengths, schedule.batch_size, seed, schedule.steps):
        yield partial(loss_and_extras, model, [examples[i] for i in chosen])


def loss_and_extras(model: CausalLM, examples: list[Example]) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of a batch; there are no further numbers to record."""
    return response_loss(model, examples), {}


def response_loss(model: CausalLM, examples: list[Example]) -> Tensor:
    """Return -log p per response token, averaged over all response tokens of the batch (nats)."""
    return F.cross_entropy(*response_logits(model, collate(examples, model.config.pad_id, model.device)))


@torch.no_grad()
def evaluate(model: CausalLM, examples: list[Example], dtype: str) -> tuple[float, dict[str, float]]:
    """Return the mean -log p per response token over all `examples`, and by kind (mean over examples), in nats."""
    total, tokens, kinds, per_token = 0.0, 0, [], []
    for chosen in evaluation_order([len(example.ids) for example in examples], EVALUATION_BATCH):
        batch = collate([examples[i] for i in chosen], model.config.pad_id, model.device)
        with autocast(model.device, dtype):
            log_prob_B = response_log_probs(model, batch).double()
        length_B = response_lengths(batch)
        total -= log_prob_B.sum().item()
        tokens += int(length_B.sum())
        per_token += (-log_prob_B / length_B).tolist()
        kinds += [examples[i].kind for i in chosen]
    return total / tokens, mean_by(kinds, per_token)
