"""INT8 of weights and inputs: against the formulas, and against compressed-tensors in transformers."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from llm.deploy.quantize.activations import rounded_inputs, searched_smoothing, smoothing_factors
from llm.deploy.quantize.model import load_any, load_quantized
from llm.deploy.quantize.write import write_quantized
from llm.deploy.settings.quantize import Method
from llm.errors import InputError
from llm.model.directory import load_model, read_config
from llm.model.rounding import QuantizedWeight, quantize_weight
from tests.llm.deploy.quantize.correlated import generator
from tests.llm.weights import save_weights

WAYS = {
    "dynamic": Method(bits=8, activations="dynamic", smoothing=0),
    "static": Method(bits=8, activations="static", smoothing=0),
    "dynamic, per tensor": Method(bits=8, activations="dynamic", per_tensor=True, smoothing=0),
    "dynamic, searched": Method(bits=8, activations="dynamic"),
    "static, searched": Method(bits=8, activations="static"),
    "static, per tensor, searched": Method(bits=8, activations="static", per_tensor=True),
    "dynamic, smoothed": Method(bits=8, activations="dynamic", smoothing=0.5),
    "static, per tensor, smoothed": Method(bits=8, activations="static", per_tensor=True, smoothing=0.5),
    "static, gptq": Method(bits=8, activations="static", kind="gptq"),
    "dynamic, rotated, gptq": Method(bits=8, activations="dynamic", kind="gptq", rotation=True),
    "dynamic, awq": Method(bits=8, activations="dynamic", kind="awq"),
}
BIASES = {"qkv_bias": True, "n_kv_heads": 6}


def drawn(seed: int = 3) -> torch.Tensor:
    return torch.randint(8, 400, (8, 32), generator=generator(seed))


def quantized(base: Path, method: Method, tmp_path: Path, name: str = "q") -> Path:
    target = tmp_path / name
    target.mkdir()
    write_quantized(base, target, method, drawn(), tmp_path / f"{name}-scratch")
    return target


def logits(model: torch.nn.Module, tokens_BT: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        found = model(tokens_BT)
    return found if isinstance(found, torch.Tensor) else found.logits


def test_inputs_lie_on_a_grid_of_256_levels():
    x = torch.randn(5, 64, generator=generator()) * torch.tensor([1e-3, 1.0, 50.0, 0.0, 7.0])[:, None]
    scale = (x.abs().amax(1) / 127.5)[:, None]
    own = rounded_inputs(x, None)
    assert ((own - x).abs() <= scale * 0.5001 + 1e-12).all()
    assert (own[3] == 0).all()
    one = rounded_inputs(x, torch.tensor([0.1]))
    assert torch.allclose(one, (x / 0.1).round().clamp(-128, 127) * 0.1)
    assert one[2].abs().max() <= 12.8 < x[2].abs().max()
    assert torch.equal(rounded_inputs(x[1:2], None), own[1:2])  # a token's inputs are its own


def test_one_scale_for_a_matrix():
    weight = torch.tensor([[0.5, -1.27, 0.004, 0.0], [0.1, 0.0, 0.0, 0.0]])
    found = quantize_weight(weight, 8, None, per_tensor=True)
    assert torch.allclose(found.scale_NG, torch.tensor([[0.01]]))
    assert found.q_NK.tolist() == [[50, -127, 0, 0], [10, 0, 0, 0]]


def test_smoothing_levels_inputs_and_weights():
    """At 0.5 an input and its weights become equally large; the product is as it was."""
    x, weight = torch.randn(50, 6, generator=generator()), torch.randn(4, 6, generator=generator(1))
    x[:, 2] *= 100
    x[:, 4] = 0
    factor = smoothing_factors([weight], x.abs().amax(0), 0.5)
    smooth, heavy = x / factor, weight * factor
    live = [0, 1, 2, 3, 5]
    assert torch.allclose(smooth.abs().amax(0)[live], heavy.abs().amax(0)[live], rtol=1e-4)
    assert factor[4] == 1
    assert torch.allclose(smooth @ heavy.T, x @ weight.T, atol=1e-3)


@pytest.mark.parametrize("shape", [{}, BIASES], ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_transformers_computes_the_same_of_int_quantized(
    way: str, shape: dict, hf_directory: Callable[..., Path], tmp_path: Path
):
    base = hf_directory("base", **shape)
    target = quantized(base, WAYS[way], tmp_path)
    tokens = drawn(9)[:4, :20]
    ours, full = logits(load_any(target), tokens), logits(load_any(base), tokens)
    assert torch.equal(logits(load_quantized(target, keep_dense=False), tokens), ours)
    most = 0.12 if torch.cpu._is_amx_tile_supported() else 0.1  # H is of inputs in bf16 there
    assert 0 < (ours - full).norm() < most * full.norm()
    theirs = AutoModelForCausalLM.from_pretrained(target, dtype=torch.float32)
    near_BT = (logits(theirs, tokens) - ours).norm(dim=-1) / ours.norm(dim=-1)
    # Equal but for where a last bit put an input on the grid's next level, for all tokens that look back at it.
    assert (near_BT < 1e-5).float().mean() > 0.25
    assert near_BT.max() < 0.05
    stored = load_file(target / "model.safetensors")
    assert sum(tensor.dtype == torch.int8 for tensor in stored.values()) == 14
    assert sum(name.endswith("input_scale") for name in stored) == (14 if WAYS[way].activations == "static" else 0)


def test_it_is_what_rounding_by_hand_gives(hf_directory: Callable[..., Path], tmp_path: Path):
    base = hf_directory("base")
    tokens, model = drawn(9)[:2], load_any(base)
    for module in model.model.layers.modules():
        if isinstance(module, torch.nn.Linear):
            module.weight = torch.nn.Parameter(quantize_weight(module.weight.detach(), 8, None).dequantized())
            module.register_forward_pre_hook(lambda _, inputs: (rounded_inputs(inputs[0], None),))
    target = quantized(base, WAYS["dynamic"], tmp_path)
    assert torch.equal(logits(load_any(target), tokens), logits(model, tokens))


def test_smoothing_saves_a_model_with_large_inputs(hf_directory: Callable[..., Path], tmp_path: Path):
    """Some outputs of norms are made a hundred times larger, the weights behind them less, as in large models."""
    base = hf_directory("base")
    model = load_model(base)
    with torch.no_grad():
        for layer in model.model.layers:
            for norm, linears in (
                (layer.input_layernorm, (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj)),
                (layer.post_attention_layernorm, (layer.mlp.gate_proj, layer.mlp.up_proj)),
            ):
                norm.weight[:2] *= 100
                for linear in linears:
                    linear.weight[:, :2] /= 100
    save_weights(model, base / "model.safetensors", "llama")
    errors = errors_of(base, ("dynamic", "dynamic, smoothed", "dynamic, searched"), tmp_path)
    assert errors["dynamic, smoothed"] < 0.3 * errors["dynamic"]
    assert errors["dynamic, searched"] < 1.2 * errors["dynamic, smoothed"]


def errors_of(base: Path, ways: tuple[str, ...], tmp_path: Path) -> dict[str, float]:
    """Return how far each way's logits are from those of the model, beside their size."""
    tokens, errors = drawn(9), {}
    full = logits(load_any(base), tokens)
    for name in ways:
        found = logits(load_any(quantized(base, WAYS[name], tmp_path, name)), tokens)
        errors[name] = float((found - full).norm() / full.norm())
    return errors


def test_smoothing_saves_a_model_with_large_values_and_gates(hf_directory: Callable[..., Path], tmp_path: Path):
    """What o and down read has no norm before it: some rows of v and up are made a hundred times larger, and what reads
    them less. Query heads share these values."""
    base = hf_directory("base", n_kv_heads=2)
    model = load_model(base)
    with torch.no_grad():
        for layer in model.model.layers:
            values, heads = layer.self_attn.v_proj.weight.view(2, -1, 48), layer.self_attn.o_proj.weight
            values[:, :2] *= 100
            heads.view(len(heads), 6, -1)[:, :, :2] /= 100
            layer.mlp.up_proj.weight[:3] *= 100
            layer.mlp.down_proj.weight[:, :3] /= 100
    save_weights(model, base / "model.safetensors", "llama")
    errors = errors_of(base, ("dynamic", "dynamic, searched"), tmp_path)
    assert errors["dynamic, searched"] < 0.3 * errors["dynamic"]


def test_the_strength_is_that_of_the_least_error():
    x, weight = torch.randn(300, 32, generator=generator()), torch.randn(24, 32, generator=generator(1))
    x[:, 3] *= 50

    def quantize(weight_NK: torch.Tensor, _: torch.Tensor) -> QuantizedWeight:
        return quantize_weight(weight_NK, 8, None)

    def error(factor: torch.Tensor) -> float:
        product = rounded_inputs(x / factor, None) @ quantize_weight(weight * factor, 8, None).dequantized().T
        return float((product - x @ weight.T).square().sum())

    found = searched_smoothing([weight], x, lambda factor: factor, quantize, static=False)
    assert found is not None
    one = torch.ones(32)
    tried = [error(smoothing_factors([weight], x.abs().amax(0), step / 10)) for step in range(1, 10)]
    assert error(found) < 1.05 * min(tried) < 0.2 * error(one)
    assert error(found) < 0.95 * max(tried)
    assert searched_smoothing([weight], x, lambda factor: 1 / factor, quantize, static=False) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"activations": "dynamic", "bits": 4}, "need bits: 8 and group_size: null"),
        ({"activations": "static", "group_size": 16}, "need bits: 8 and group_size: null"),
        ({"per_tensor": True, "scales": "searched"}, "per_tensor needs scales: absmax"),
        ({"smoothing": 0.5}, "smoothing needs activations"),
        ({"smoothing": 0.5, "activations": "dynamic", "kind": "awq"}, "smoothing needs activations, and another kind"),
    ],
)
def test_what_does_not_combine_is_refused(changes: dict, words: str, hf_directory: Callable[..., Path], tmp_path: Path):
    with pytest.raises(InputError, match=words):
        quantized(hf_directory("base"), Method(**{"bits": 8} | changes), tmp_path)


def test_another_rounding_of_inputs_is_refused(hf_directory: Callable[..., Path], tmp_path: Path):
    target = quantized(hf_directory("base"), WAYS["dynamic"], tmp_path)
    config = target / "config.json"
    assert read_config(config)["quantization_config"]["format"] == "int-quantized"
    config.write_text(config.read_text().replace('"strategy": "token"', '"strategy": "group"'))
    with pytest.raises(InputError, match="its inputs are quantized in another way"):
        load_quantized(target)
