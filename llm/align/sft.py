"""Supervised fine-tuning: cross-entropy on response tokens only; prompt and padding are masked."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from llm.align.batches import Batch, Example
from llm.align.likelihood import response_lengths, response_log_probs, response_logits
from llm.align.method import Method, mean_by, scored
from llm.align.settings.adapter import AdapterSettings
from llm.model.transformer import CausalLM
from llm.training.engine import Engine
from llm.training.objective import DTYPES, Objective


class Supervised(Objective):
    """-log p per response token, averaged over all response tokens of the batch (nats)."""

    stage = "align.sft"

    def loss(self, part: Batch, batch_size: int) -> tuple[Tensor, Tensor]:
        with self.products(part.tokens_BT.device):
            loss = F.cross_entropy(*response_logits(self.model, part), reduction="sum") / part.targets
        return loss, loss.new_empty(0)

    def scores(self, part: Batch) -> Tensor:
        """Return log p of each response, and its number of tokens: [B, 2]."""
        with self.products(part.tokens_BT.device):
            log_prob_B = response_log_probs(self.model, part)
        return torch.stack((log_prob_B, response_lengths(part).float()), 1)


def supervised(model: CausalLM, settings: AdapterSettings) -> Supervised:
    return Supervised(model, DTYPES[settings.dtype])


def evaluate(engine: Engine, examples: Sequence[Example], pad: int) -> dict:
    """Return the mean -log p per response token over all examples, and by kind (a mean over examples), in nats."""
    kinds, (log_prob_B, length_B) = scored(engine, examples, pad)
    return {
        "validation_loss": -(log_prob_B.sum() / length_B.sum()).item(),
        "validation_loss_by_kind": mean_by(kinds, (-log_prob_B / length_B).tolist()),
    }


def guessing(settings: AdapterSettings, vocab_size: int, examples: Sequence[Example]) -> float:
    """Return the loss of giving every token the same probability."""
    return math.log(vocab_size)


SFT = Method("sft", supervised, evaluate, guessing, measured_before=("validation_loss",), whole=True)
