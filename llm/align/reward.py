"""A reward model: the aligned model's hidden state at the last token, projected to one number (Bradley-Terry).

loss = -log sigmoid(r(prompt, chosen) - r(prompt, rejected)) (Ouyang et al. 2022, equation 1), less the pair's `margin`
where its row has one. The body learns through a LoRA adapter, the projection `score` (1, d_model) from zero; both load
in PEFT as a LlamaForSequenceClassification with one label. Rewards are not normalised:
llm/align/scorer.py does that, for reinforcement learning.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llm.align.batches import Batch, Pair
from llm.align.lora import load_adapter
from llm.align.method import Method, hits_of, ranked, scored
from llm.align.packing import packed_hidden
from llm.align.records import mean
from llm.align.settings.adapter import AdapterSettings
from llm.errors import InputError
from llm.model.transformer import CausalLM
from llm.training.engine import Engine
from llm.training.objective import DTYPES, Objective

BINS = 10  # of chances from 0.5 to 1


class RewardModel(Objective):
    """A CausalLM without its output layer, and `score`, which starts at zero, so that all answers are equal at
    first. It is trained on pairs, and rates sequences."""

    stage = "align.reward"
    figures = ("accuracy",)

    def __init__(self, model: CausalLM, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(model, dtype)
        self.score = nn.Linear(model.config.d_model, 1, bias=False, device=model.device)
        nn.init.zeros_(self.score.weight)

    def rewards(self, batch: Batch) -> Tensor:
        """Return fp32 [B], from the hidden state (after the final norm) of each sequence's last real token."""
        with self.products(batch.tokens_BT.device):
            if batch.packed:
                x_RD, _ = packed_hidden(self.model, batch.tokens_BT, batch.length_B)
                x_BD = x_RD[batch.length_B.cumsum(0) - 1]
            else:
                x_BTD = self.model.hidden(batch.tokens_BT)
                x_BD = x_BTD[torch.arange(len(batch.length_B), device=x_BTD.device), batch.length_B - 1]
            return self.score(x_BD).squeeze(-1).float()

    def loss(self, part: Batch, batch_size: int) -> tuple[Tensor, Tensor]:
        chosen_B, rejected_B = self.rewards(part).chunk(2)
        hits = hits_of(chosen_B, rejected_B).sum()
        loss_B = bradley_terry(chosen_B, rejected_B, part.values_B)
        return loss_B.sum() / batch_size, (hits / batch_size)[None]

    def scores(self, part: Batch) -> Tensor:
        """Return the loss, and the rewards of the chosen and the rejected sides: [B, 3]."""
        chosen_B, rejected_B = self.rewards(part).chunk(2)
        return torch.stack((bradley_terry(chosen_B, rejected_B, part.values_B), chosen_B, rejected_B), 1)


def reward_model(model: CausalLM, settings: AdapterSettings) -> RewardModel:
    return RewardModel(model, DTYPES[settings.dtype])


def bradley_terry(chosen_B: Tensor, rejected_B: Tensor, margin_B: Tensor | float = 0.0) -> Tensor:
    """Return -log sigmoid(chosen - rejected - margin) of each pair (the margin: Touvron et al. 2023, arXiv 2307.09288,
    equation 2)."""
    return -F.logsigmoid(chosen_B - rejected_B - margin_B)


def load_reward_model(model: CausalLM, adapter: Path, dtype: torch.dtype = torch.float32) -> RewardModel:
    """Load the reward model of an adapter directory on the `model` it was trained on. dtype: of the products."""
    rest = load_adapter(model, adapter)
    result = RewardModel(model, dtype)
    if set(rest) != {"score.weight"} or rest["score.weight"].shape != result.score.weight.shape:
        raise InputError(f"{adapter}: no reward adapter of this model: score.weight is missing or of another size")
    result.score.weight.data.copy_(rest["score.weight"])
    return result.eval()


def evaluate(engine: Engine, pairs: Sequence[Pair], pad: int) -> dict:
    """Measure held-out accuracy, in all and by kind, the loss, what a rule that sees only token counts would reach, how
    far the chances that it gives are from what is so, and how much it goes by length."""
    kinds, columns = scored(engine, pairs, pad)
    margin_B = columns[1] - columns[2]
    longer = [len(pair.chosen.ids) - len(pair.rejected.ids) for pair in pairs]
    return ranked(pairs, kinds, *columns) | calibration(margin_B) | length_bias(margin_B, longer)


def calibration(margin_B: Tensor) -> dict:
    """Return the expected calibration error (Naeini et al. 2015) of the chance, sigmoid(|margin|), with which a side is
    held to be the chosen one: the mean distance from how often it is, over BINS equal intervals of 0.5 to 1; and by
    interval its pairs, the chance and how often. margin_B: the chosen side's reward above the other's."""
    chance_B = margin_B.abs().sigmoid()
    bin_B = ((chance_B - 0.5) * 2 * BINS).long().clamp(max=BINS - 1)
    hits_B = hits_of(margin_B, torch.zeros_like(margin_B))
    rows = []
    for number in sorted(set(bin_B.tolist())):
        inside_B = bin_B == number
        chance, right = chance_B[inside_B].mean().item(), hits_B[inside_B].mean().item()
        rows.append({"pairs": int(inside_B.sum()), "chance": chance, "accuracy": right})
    error = sum(row["pairs"] * abs(row["chance"] - row["accuracy"]) for row in rows) / len(margin_B)
    return {"calibration_error": error, "calibration": rows}


def length_bias(margin_B: Tensor, longer: Sequence[int]) -> dict:
    """Return how the margin goes with the length: the correlation of both over the pairs (0 where one is constant), and
    the accuracy where the chosen side is the longer one, and where it is the shorter. longer: tokens by which it is."""
    longer_B = torch.tensor(longer, dtype=torch.float64)
    both = torch.stack((margin_B.double(), longer_B))
    varied = len(longer) > 1 and bool((both.std(1) > 0).all())
    hits_B = hits_of(margin_B, torch.zeros_like(margin_B))
    return {
        "length_correlation": torch.corrcoef(both)[0, 1].item() if varied else 0.0,
        "accuracy_of_longer": mean(hits_B[longer_B > 0].tolist()),
        "accuracy_of_shorter": mean(hits_B[longer_B < 0].tolist()),
    }


def guessing(settings: AdapterSettings, vocab_size: int, pairs: Sequence[Pair]) -> float:
    """Return the loss of rating every answer alike."""
    return mean([math.log1p(math.exp(pair.value)) for pair in pairs])


REWARD = Method("reward", reward_model, evaluate, guessing, task_type="SEQ_CLS")
