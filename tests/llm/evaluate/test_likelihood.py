"""Log-probabilities in batches are the engine's, to the bit, and losses and bits are those of the trainers."""

import math

import numpy as np
import pytest
import torch

from llm.align.batches import Example
from llm.evaluate.held_out import bits_per_byte, instruction_loss, tax, validation_bits
from llm.evaluate.likelihood import log_probs_of
from llm.inference.engine import Engine
from llm.inference.sequence import Request
from llm.inference.training import log_probs
from llm.pretrain import evaluate


def texts(n: int = 7) -> list[list[int]]:
    random = np.random.Generator(np.random.PCG64(4))
    return [random.integers(8, 400, size=5 + 7 * number % 40).tolist() for number in range(n)]


def test_a_batch_says_what_the_engine_says(random_lm, monkeypatch):
    model = random_lm()
    requests = [Request(text, 0, prompt_logprobs=0) for text in texts()]
    wanted = [output.prompt_logprobs for output in Engine(model).generate(requests)]
    assert [score.tolist() for score in log_probs_of(model, texts())] == wanted
    monkeypatch.setattr("llm.evaluate.likelihood.LOGITS", 1)
    assert [score.tolist() for score in log_probs_of(model, texts())] == wanted  # one by one


def test_the_loss_is_a_mean_over_response_tokens(random_lm):
    model = random_lm()
    examples = [
        Example(np.array(text), np.arange(len(text)) >= 3, "odd" if number % 2 else "even")
        for number, text in enumerate(texts())
    ]
    found = instruction_loss(model, examples)
    losses, kinds = [], []
    with torch.inference_mode():
        for example in examples:
            logits = model(torch.from_numpy(example.ids)[None])[0, :-1].double().log_softmax(-1)
            own = -logits[torch.arange(len(logits)), torch.from_numpy(example.ids)[1:]][2:]
            losses += own.tolist()
            kinds += [example.kind] * len(own)
    assert found["held_out_loss"]["value"] == pytest.approx(np.mean(losses), abs=1e-5)
    odd = [loss for loss, kind in zip(losses, kinds, strict=True) if kind == "odd"]
    assert found["held_out_loss_by_kind"]["odd"]["value"] == pytest.approx(np.mean(odd), abs=1e-5)


@pytest.mark.parametrize("limit", [None, 64])
def test_bits_are_those_of_pretraining(random_lm, work, limit):
    model = random_lm(context_length=32)
    validation = evaluate.ValidationSet(work / "tokens")
    wanted = evaluate.bits_per_byte(lambda tokens: -log_probs(model, tokens), model.config, validation, limit)
    bits = validation_bits(model, validation, limit)
    assert bits_per_byte(bits)["value"] == pytest.approx(wanted["bpb"], rel=1e-6)


def test_the_tax_is_a_paired_difference(random_lm, work):
    validation = evaluate.ValidationSet(work / "tokens")
    one, other = (validation_bits(random_lm(seed, context_length=32), validation, None) for seed in (0, 1))
    assert tax(one, one) == {"value": 0.0, "se": 0.0, "n": sum(len(each["bits"]) for each in one.values())}
    found = tax(other, one)
    assert found["value"] == pytest.approx(bits_per_byte(other)["value"] - bits_per_byte(one)["value"])
    apart = math.hypot(bits_per_byte(other)["se"], bits_per_byte(one)["se"])
    assert 0 < found["se"] < 2 * apart
