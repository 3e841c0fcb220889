"""Kahneman-Tversky optimisation against its equations in plain Python, and z, which is of the whole batch."""

import math

import pytest
import torch

from llm.align.batches import Batch, ItemStream
from llm.align.conversations import read_labelled
from llm.align.kto import KahnemanTversky
from llm.align.likelihood import response_log_probs
from llm.align.lora import adapter_off, add_lora, lora_layers
from llm.align.records import write_jsonl
from llm.align.train_adapter import optimizer_of
from llm.training.engines.single import SingleEngine
from tests.llm.align.toy import BETA, LORA, adapter_settings, items_of, schedule


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("micro_batch", [None, 1, 3])
def test_the_loss_is_the_papers_equation_however_it_is_cut(model, micro_batch: int | None) -> None:
    told = adapter_settings("kto", desirable_weight=1.5, undesirable_weight=0.5)
    add_lora(model, LORA, seed=0)
    for layer in lora_layers(model).values():
        layer.lora_B.data.normal_(0, 0.1, generator=torch.Generator().manual_seed(2))
    objective = KahnemanTversky(model, torch.float32, told)
    stream = ItemStream(items_of("kto", 20), 6, 1, 3)
    batch = stream.rows(0, 0, 6)
    with torch.no_grad():
        with adapter_off(model):
            reference = response_log_probs(model, batch).double()
        ratio, mismatched = (response_log_probs(model, batch).double() - reference).chunk(2)
    z = mismatched.mean().item()
    assert z > 0.01  # else it would be cut to 0, and show nothing
    losses = []
    for value, label in zip(ratio.tolist(), batch.values_B.tolist(), strict=True):
        good, bad = 1.5 * (1 - sigmoid(BETA * (value - z))), 0.5 * (1 - sigmoid(BETA * (z - value)))
        losses.append(good if label else bad)
    engine = SingleEngine(objective, optimizer_of(schedule(2, 1, 1.0, 0)), micro_batch)
    asked: list[tuple[int, int]] = []

    def rows(first: int, count: int) -> Batch:
        asked.append((first, count))
        return stream.rows(0, first, count)

    loss, _ = engine.gradients(rows, 6)
    assert asked == engine.portions(6)  # z and the loss are of the same parts, made once
    assert loss == pytest.approx(sum(losses) / 6, rel=1e-5)
    assert engine.figures["kl"] == pytest.approx(z, rel=1e-4, abs=1e-6)


def test_pairs_are_read_as_labelled_answers(tokenizer, tmp_path) -> None:
    bad = ["bad", "bad", "bad" * 20, "bad"]
    rows = [{"kind": "k", "prompt": f"p{n}", "chosen": f"good{n}", "rejected": bad[n]} for n in range(4)]
    write_jsonl(tmp_path / "a.jsonl", rows)
    items, too_long = read_labelled(tmp_path / "a.jsonl", tokenizer, 30)
    assert [item.value for item in items].count(1.0) == 4
    assert too_long == 2  # the long answer itself, and where it is the mismatched one
    first = items[0]
    answer = first.mismatched.ids[first.mismatched.mask][:-1] - 8
    assert bytes(answer.tolist()).decode() == "good1"
    assert first.mismatched.ids[: len("p0") + 3].tolist() == first.example.ids[: len("p0") + 3].tolist()
