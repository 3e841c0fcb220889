"""Packed batches: the padded batch's losses and gradients, each sequence as if alone; a leak between them is seen."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from llm.align.batches import Item, ItemStream, collate
from llm.align.likelihood import response_logits
from llm.align.packing import Packed, packed_hidden
from llm.align.train_adapter import adapted
from llm.model.transformer import CausalLM, attend
from llm.training.engine import Engine
from tests.llm.align.test_layouts import differ
from tests.llm.align.toy import CONFIG, METHODS, adapter_settings, example, items_of, random_model

BATCH = 6


def mixed(method: str) -> list[Item]:
    """Six items whose sides have several lengths: of one length there would be nothing to pack."""
    items = items_of(method, 40)
    found = [items[number] for number in (0, 3, 5, 8, 11, 14)]
    assert len({len(side.ids) for item in found for side in item.sides}) > 2
    return found


def gradients(method: str, packed: bool, **changes: object) -> tuple[float, dict[str, torch.Tensor], Engine]:
    engine = adapted(METHODS[method], random_model(), adapter_settings(method, packing=packed, **changes))
    with torch.no_grad():  # a fresh adapter has no gradient in A
        for held in engine.held:
            held.tensor.add_(0.05 if held.name.endswith("lora_B") else 0.01)
    loss, _ = engine.gradients(partial(ItemStream(mixed(method), BATCH, 3, CONFIG.pad_id, packed).rows, 0), BATCH)
    return loss, {held.name: held.tensor.grad.clone() for held in engine.held}, engine


@pytest.mark.parametrize("method", METHODS)
def test_a_packed_batch_has_the_padded_ones_gradient(method):
    (loss, found, packed), (wanted_loss, wanted, padded) = (gradients(method, packed) for packed in (True, False))
    assert loss == pytest.approx(wanted_loss, rel=1e-6)
    assert packed.figures == pytest.approx(padded.figures, rel=1e-5, abs=1e-6)
    assert differ(found, wanted) < 1e-6


def test_layers_see_no_padding(monkeypatch):
    """What a step's linear layers get is one row of the real tokens: the last of each sequence predicts nothing."""
    seen = []
    plain = CausalLM.hidden
    monkeypatch.setattr(CausalLM, "hidden", lambda *a, **k: seen.append(a[1].shape) or plain(*a, **k))
    gradients("sft", True)
    assert seen == [(1, sum(len(item.ids) - 1 for item in mixed("sft")))]


class Leaking(Packed):
    """The mistake: plain causal attention over the whole row, so that a sequence sees those before it."""

    def attend(self, layer, q_1NRH, k_1KRH, v_1KRH):  # noqa: ANN001, ANN201
        return attend(q_1NRH, k_1KRH, v_1KRH, None)


def test_attention_across_sequences_would_be_noticed(monkeypatch):
    _, wanted, _ = gradients("sft", False)
    monkeypatch.setattr("llm.align.packing.Packed", Leaking)
    _, found, _ = gradients("sft", True)
    assert differ(found, wanted) > 1e-2


@pytest.mark.parametrize("position", ["rope", "alibi", "learned", "sinusoidal"])
def test_every_token_is_predicted_as_in_its_sequence_alone(position):
    """Token by token, of the response alone, whatever says where a token stands; another sequence's tokens change no
    byte of it."""
    model = changed(position)
    examples = [example(seed) for seed in range(5)]
    logits_NV, target_N = response_logits(model, collate(examples, 3, packed=True))
    alone = [response_logits(model, collate([each], 3)) for each in examples]
    torch.testing.assert_close(logits_NV, torch.cat([logits for logits, _ in alone]), atol=1e-5, rtol=1e-5)
    assert target_N.tolist() == [token for each in examples for token in each.ids[each.mask].tolist()]
    examples[0].ids[:] = 9
    again_NV, _ = response_logits(model, collate(examples, 3, packed=True))
    own = int(examples[0].mask.sum())
    assert torch.equal(again_NV[own:], logits_NV[own:]) and not torch.equal(again_NV[:own], logits_NV[:own])


def changed(position: str) -> CausalLM:
    model = CausalLM(replace(CONFIG, position=position)).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0.0, 0.2, generator=generator).add_(float(weight.ndim == 1))
    return model


def test_the_prompt_has_no_part_in_the_loss():
    """Its tokens' own logits get no gradient: the response's positions alone do."""
    model = random_model()
    batch = collate([example(seed) for seed in range(4)], 3, packed=True)
    x_RD, real_BT = packed_hidden(model, batch.tokens_BT[:, :-1], batch.length_B - 1)
    x_RD.retain_grad()
    target_BT = batch.mask_BT[:, 1:]
    logits_NV = x_RD[target_BT[real_BT]] @ model.output_weight.T
    torch.nn.functional.cross_entropy(logits_NV, batch.tokens_BT[:, 1:][target_BT]).backward()
    assert x_RD.grad.abs().sum(1).bool().tolist() == target_BT[real_BT].tolist()


def test_bfloat16_too():
    (loss, found, _), (wanted_loss, wanted, _) = (
        gradients("sft", packed, dtype="bfloat16") for packed in (True, False)
    )
    assert loss == pytest.approx(wanted_loss, rel=1e-3) and differ(found, wanted) < 2e-2
