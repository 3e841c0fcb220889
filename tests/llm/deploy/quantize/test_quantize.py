"""Rounding against theory, packing against compressed-tensors' own bytes, and whole quantized directories."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from llm.deploy.quantize.bit_packing import pack, unpack
from llm.deploy.quantize.model import load_any, load_quantized
from llm.deploy.quantize.rounding_errors import weight_errors
from llm.deploy.settings.quantize import QuantizeSettings
from llm.errors import InputError
from llm.model.directory import read_config
from llm.model.rounding import fitting_group_size, layers_to_quantize, quantize_weight
from scripts.deploy import quantize
from tests.llm.tokenize.write_ids import write_indexed

# What compressed_tensors 0.20.0's pack_to_int32 makes of one row.
THEIRS = {
    4: ([-8, -1, 0, 1, 7, 2, -3, 3, -7, 5], [-1246783376, 209]),
    8: ([-128, -1, 0, 1, 127, 2, -3, 3, -127, 5], [-2122285312, -2088926465, 34049]),
}
SCHEMES = [(8, None), (4, 16), (4, 48)]


@pytest.mark.parametrize("bits", THEIRS)
def test_packing_is_that_of_compressed_tensors(bits):
    values, words = THEIRS[bits]
    q_NK = torch.tensor([values], dtype=torch.int8)
    assert pack(q_NK, bits).tolist() == [words]
    assert torch.equal(unpack(torch.tensor([words], dtype=torch.int32), bits, len(values)), q_NK)


@given(bits=st.sampled_from([4, 8]), rows=st.integers(1, 5), columns=st.integers(1, 70), seed=st.integers(0, 9))
def test_unpacking_undoes_packing(bits, rows, columns, seed):
    limit = 1 << (bits - 1)
    generator = torch.Generator().manual_seed(seed)
    q_NK = torch.randint(-limit, limit, (rows, columns), dtype=torch.int8, generator=generator)
    packed = pack(q_NK, bits)
    assert packed.shape == (rows, math.ceil(columns * bits / 32))
    assert torch.equal(unpack(packed, bits, columns), q_NK)


def test_int8_is_the_seed_formula():
    weight = torch.tensor([[0.5, -1.27, 0.004, 0.0], [0.0, 0.0, 0.0, 0.0]])
    quantized = quantize_weight(weight, 8, None)
    assert torch.allclose(quantized.scale_NG, torch.tensor([[0.01], [1.0]]))
    assert quantized.q_NK.tolist() == [[50, -127, 0, 0], [0, 0, 0, 0]]


@given(bits=st.sampled_from([4, 8]), group=st.sampled_from([None, 8, 32]), exponent=st.integers(-20, 20))
def test_no_weight_is_off_by_more_than_half_a_step(bits, group, exponent):
    generator = torch.Generator().manual_seed(exponent + 20)
    weight = torch.randn(6, 64, generator=generator) * 2.0**exponent
    weight[0, :32] = 0
    error = weight_errors(weight, quantize_weight(weight, bits, group))
    assert error["max_in_scales"] <= 0.5 + 1e-4  # fp32 division rounds
    assert error["mean"] <= error["max"]


def test_uniform_weights_err_as_theory_says():
    """Variance 1/12 of a step; with 4 bits a group's largest weight lies on the edge of its cell and errs by 1/2."""
    weight = torch.rand(256, 512, generator=torch.Generator().manual_seed(0)) * 2 - 1
    rms = weight_errors(weight, quantize_weight(weight, 8, None))["rms_in_scales"]
    assert rms == pytest.approx(math.sqrt(1 / 12), rel=0.01)
    rms = weight_errors(weight, quantize_weight(weight, 4, 16))["rms_in_scales"]
    assert rms == pytest.approx(math.sqrt(15 / 16 / 12 + 1 / 16 / 4), rel=0.01)


def test_bad_weights_are_refused():
    with pytest.raises(InputError, match="not finite"):
        quantize_weight(torch.tensor([[1.0, math.nan]]), 8, None)
    with pytest.raises(InputError, match="no whole number of groups"):
        quantize_weight(torch.ones(2, 6), 4, 4)


@pytest.mark.parametrize(
    ("wanted", "widths", "expected"),
    [
        (None, [48], None),
        (64, [192, 512], 64),
        (128, [192, 512], 64),
        (192, [576, 576, 1536], 192),
        (128, [576, 576, 1536], 64),
        (64, [48, 96], 48),
        (32, [20, 50], 10),
        (1, [7], 1),
    ],
)
def test_group_size_falls_back_to_a_common_divisor(wanted, widths, expected):
    assert fitting_group_size(wanted, widths) == expected


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    """Validation shards of two sources, one of them without a document."""
    random = np.random.Generator(np.random.PCG64(0))
    for source, lengths in {"full": [70, 200, 33, 5], "none": []}.items():
        directory = tmp_path / "tokens" / source
        directory.mkdir(parents=True)
        documents = [random.integers(8, 400, length) for length in lengths]
        write_indexed(directory / "validation", documents, np.uint16)
        counts = {"documents": len(lengths), "tokens": sum(lengths), "bytes": 3 * sum(lengths)}
        (directory / "meta.json").write_text(json.dumps({"source": source, "domain": "books", "validation": counts}))
    return tmp_path / "tokens"


@pytest.mark.parametrize("changes", [{}, {"tie_embeddings": False, "n_kv_heads": 6}], ids=str)
@pytest.mark.parametrize(("bits", "group"), SCHEMES)
def test_a_quantized_directory_computes_with_the_rounded_weights(changes, bits, group, hf_directory, tokens, tmp_path):
    base = hf_directory("base", **changes)
    (tmp_path / "quantized").mkdir()
    metrics = quantize.main(
        base,
        tokens,
        tmp_path / "quantized",
        settings=QuantizeSettings(scales="absmax", bits=bits, group_size=group, validation_tokens=200),
    )
    rounded = load_any(base)
    with torch.no_grad():
        for layer in layers_to_quantize(rounded).values():
            weight = layer.weight
            weight.copy_(quantize_weight(weight, bits, group).dequantized())
    tokens_BT = torch.randint(8, 400, (2, 20), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = rounded(tokens_BT)
        for keep_dense in (True, False):
            assert torch.equal(load_quantized(tmp_path / "quantized", keep_dense=keep_dense)(tokens_BT), expected)
    stored = load_file(tmp_path / "quantized" / "model.safetensors")
    assert len(layers_to_quantize(rounded)) == 14 == sum(name.endswith("weight_packed") for name in stored)
    assert stored["model.embed_tokens.weight"].dtype == torch.float32
    assert ("lm_head.weight" in stored) is not rounded.config.tie_embeddings
    assert metrics["largest_error_in_scales"] <= 0.5 + 1e-4
    packed = [tensor for name, tensor in stored.items() if name.endswith(("weight_packed", "weight_scale"))]
    assert metrics["quantized_layers_bytes_after"] == sum(tensor.nbytes for tensor in packed)
    ratio = metrics["quantized_layers_bytes_before"] / metrics["quantized_layers_bytes_after"]
    assert ratio == pytest.approx(32 / (bits + 32 / (group or 52)), rel=0.05)  # 52: the mean row; a scale has 32 bits
    assert metrics["bytes_after"] < metrics["bytes_before"]
    assert metrics["before"]["tokens"] == metrics["after"]["tokens"] > 0


@pytest.mark.parametrize("position", ["learned", "alibi"])
def test_models_with_biases_and_other_names_are_quantized_for_us_alone(position, hf_directory, tokens, tmp_path):
    """GPT-2 in transformers has no nn.Linear to pack: config.json must not claim that it can load this."""
    changes = {"position": position, "norm": "layernorm", "activation": "gelu_tanh", "bias": True, "n_kv_heads": 6}
    base = hf_directory("base", **changes, embedding_norm=position == "alibi", d_ff=192)
    assert read_config(base / "config.json")["model_type"] == ("gpt2" if position == "learned" else "bloom")
    (tmp_path / "q").mkdir()
    quantize.main(
        base,
        tokens,
        tmp_path / "q",
        settings=QuantizeSettings(scales="absmax", bits=8, group_size=None, validation_tokens=100),
    )
    assert read_config(tmp_path / "q/config.json")["model_type"] == "stemma"
    tokens_BT = torch.randint(8, 400, (2, 20), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        full, rounded = load_any(base)(tokens_BT), load_any(tmp_path / "q")(tokens_BT)
    assert 0 < (full - rounded).abs().max() < 0.05 * full.abs().max()


def test_quantizing_twice_gives_the_same_bytes(hf_directory, tokens, tmp_path):
    base = hf_directory("base")
    for run in ("one", "two"):
        (tmp_path / run).mkdir()
        quantize.main(
            base,
            tokens,
            tmp_path / run,
            settings=QuantizeSettings(scales="absmax", bits=4, group_size=16, validation_tokens=100),
        )
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(names) == 8
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in names)


def test_config_states_the_scheme(hf_directory, tokens, tmp_path):
    base = hf_directory("base")
    (tmp_path / "q").mkdir()
    quantize.main(
        base,
        tokens,
        tmp_path / "q",
        settings=QuantizeSettings(scales="absmax", bits=4, group_size=32, validation_tokens=100),
    )
    stated = json.loads((tmp_path / "q" / "config.json").read_text())["quantization_config"]
    weights = stated["config_groups"]["group_0"]["weights"]
    assert (stated["quant_method"], stated["format"]) == ("compressed-tensors", "pack-quantized")
    assert (weights["num_bits"], weights["strategy"], weights["group_size"]) == (4, "group", 24)  # not 32
    assert weights["symmetric"] and stated["ignore"] == ["lm_head"]


def test_damaged_quantized_directories_are_named(hf_directory, tokens, tmp_path):
    base = hf_directory("base")
    with pytest.raises(InputError, match="no pack-quantized"):
        load_quantized(base)
    (tmp_path / "q").mkdir()
    with pytest.raises(InputError, match="3 bits per weight"):
        quantize.main(
            base,
            tokens,
            tmp_path / "q",
            settings=QuantizeSettings(scales="absmax", bits=3, group_size=None, validation_tokens=100),
        )
    quantize.main(
        base,
        tokens,
        tmp_path / "q",
        settings=QuantizeSettings(scales="absmax", bits=8, group_size=None, validation_tokens=100),
    )
    config = tmp_path / "q" / "config.json"
    config.write_text(config.read_text().replace('"num_hidden_layers": 2', '"num_hidden_layers": 1'))
    with pytest.raises(InputError, match=r"has an unknown model.layers.1"):
        load_quantized(tmp_path / "q")
    config.write_text(config.read_text().replace('"num_hidden_layers": 1', '"num_hidden_layers": 3'))
    with pytest.raises(InputError, match=r"model.layers.2.self_attn.q_proj is not packed"):
        load_quantized(tmp_path / "q")


def test_perplexity_is_that_of_the_scored_tokens(hf_directory, tokens, tmp_path):
    base = hf_directory("base")
    (tmp_path / "q").mkdir()
    before = quantize.main(
        base,
        tokens,
        tmp_path / "q",
        settings=QuantizeSettings(scales="absmax", bits=8, group_size=None, validation_tokens=None),
    )["before"]
    stream = torch.from_numpy(np.fromfile(tokens / "full" / "validation.bin", np.uint16).astype("int64"))
    stream = torch.cat((torch.tensor([2]), stream))  # from an [EOS]
    nats = 0.0
    with torch.no_grad():
        for begin in range(0, 308, 64):
            window = stream[begin : begin + 65]
            nats -= load_any(base)(window[None, :-1]).log_softmax(-1)[0].gather(-1, window[1:, None]).sum().item()
    assert before["tokens"] == 308
    assert before["perplexity"] == pytest.approx(math.exp(nats / 308), rel=1e-4)
    assert before["perplexity_by_domain"] == dict.fromkeys(before["by_domain"], before["perplexity"]), "one domain"
    assert before["bits_per_byte"] == pytest.approx(nats / math.log(2) / (3 * 308), rel=1e-4)


def test_no_validation_text_is_named(hf_directory, tokens, tmp_path):
    (tokens / "full" / "meta.json").unlink()
    (tmp_path / "q").mkdir()
    with pytest.raises(InputError, match="no source has validation tokens"):
        quantize.main(
            hf_directory("base"),
            tokens,
            tmp_path / "q",
            settings=QuantizeSettings(scales="absmax", bits=8, group_size=None, validation_tokens=100),
        )
