"""Attention patterns against transformers' `output_attentions`, entropy and sinks against plain numpy."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from llm.errors import InputError
from llm.model.config import ModelConfig, config_json
from llm.package.inventory.attention import Watched, entropies, looks, patterns, shown, sinks
from llm.tokenize.load import Tokenizer
from tests.llm.model.architectures import BLOOM, GPT2, IN_NONE, LLAMA, MPT, QWEN2, QWEN3, random_model, random_tokens
from tests.llm.weights import save_weights


@pytest.mark.parametrize("config", [LLAMA, QWEN2, QWEN3, GPT2, BLOOM, MPT], ids=lambda config: config.family)
def test_patterns_are_those_of_transformers(config: ModelConfig, tmp_path: Path) -> None:
    model, tokens_BT = random_model(config), random_tokens(1, 18)
    (tmp_path / "config.json").write_text(config_json(model.config))
    save_weights(model, tmp_path / "model.safetensors", config.family)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        expected = theirs(tokens_BT, output_attentions=True).attentions
    found = patterns(model, tokens_BT[0].tolist())
    assert found.shape == (config.n_layers, config.n_heads, 18, 18)
    for layer in range(config.n_layers):
        torch.testing.assert_close(found[layer], expected[layer][0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("config", IN_NONE.values(), ids=IN_NONE.keys())
def test_what_is_watched_computes_what_the_model_does(config: ModelConfig) -> None:
    """Of every architecture: the same hidden states, rows that sum to one, nothing of the future."""
    model, tokens_BT = random_model(config).eval(), random_tokens(1, 11)
    found = patterns(model, tokens_BT[0].tolist())
    torch.testing.assert_close(found.sum(-1), torch.ones(found.shape[:-1]))
    assert found.triu(1).abs().max() == 0
    with torch.no_grad():
        watched = model.hidden(tokens_BT, Watched(config, 11))
        torch.testing.assert_close(watched, model.hidden(tokens_BT), rtol=1e-4, atol=1e-4)


def test_entropy_and_sink_by_plain_numpy() -> None:
    found = patterns(random_model(LLAMA), random_tokens(1, 9)[0].tolist())
    for layer, head in ((0, 0), (2, 5)):
        rows = found[layer, head].double().numpy()
        shares = [-sum(p * np.log(p) for p in row[: t + 1]) / np.log(t + 1) for t, row in enumerate(rows) if t]
        assert float(entropies(found)[layer, head]) == pytest.approx(np.mean(shares), rel=1e-5)
        assert float(sinks(found)[layer, head]) == pytest.approx(rows[1:, 0].mean(), rel=1e-5)


def test_heads_whose_entropy_and_sink_are_known() -> None:
    everywhere = torch.ones(6, 6).tril() / torch.arange(1.0, 7)[:, None]
    at_itself, at_the_first = torch.eye(6), torch.zeros(6, 6)
    at_the_first[:, 0] = 1
    heads = torch.stack([everywhere, at_itself, at_the_first])[None]
    assert entropies(heads)[0].tolist() == pytest.approx([1, 0, 0])
    assert sinks(heads)[0, 1:].tolist() == [0, 1]
    [whole, *_] = shown(heads)
    assert (whole["layer"], whole["head"]) == (0, 0)
    assert whole["weights"][2] == [333, 333, 333]
    assert [len(row) for row in whole["weights"]] == [1, 2, 3, 4, 5, 6]


def test_prompts_begin_as_texts_do_and_are_cut(random_lm, tokenizer_files) -> None:
    tokenizer, model = Tokenizer(tokenizer_files["model"]), random_lm()
    found = looks(model, tokenizer, ["sure heard an old road", "other"], 5)
    [first, second] = found["prompts"]
    assert first["tokens"][0] == "[BOS]" and len(first["tokens"]) == 5
    assert len(first["heads"]) == model.config.n_layers * model.config.n_heads
    assert first["heads"][0]["weights"][4] and sum(first["heads"][0]["weights"][4]) == pytest.approx(1000, abs=3)
    assert found["sink"] == pytest.approx(np.mean(found["heads"]["sink"]), rel=1e-3)
    assert second["prompt"] == "other"
    with pytest.raises(InputError, match="package.inventory.prompts: '' is a single token"):
        looks(model, tokenizer, [""], 5)
