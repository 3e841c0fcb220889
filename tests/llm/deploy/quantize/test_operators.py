"""Packed weights run packed: near the dequantized matrix, the same bytes in any batch, a reason for each fallback."""

import pytest
import torch

from llm.deploy.quantize.bit_packing import pack
from llm.deploy.quantize.model import PackedLinear, RoundedLinear
from llm.deploy.quantize.operators import (
    Choice,
    QuantizedLinear,
    chosen,
    run_quantized,
    table,
    whole_numbers,
)
from llm.inference.engine import Engine
from llm.inference.reordered import Part, join, side_by_side
from llm.inference.row_by_row import worth_threads
from llm.inference.runner import multiple_of
from llm.inference.sequence import Request
from llm.inference.training import log_probs
from llm.model.rounding import layers_to_quantize, quantize_weight

CPU = torch.device("cpu")
WAYS = [
    (8, None, "weights", "int8pack"),
    (8, None, "activations", whole_numbers().operator),
    (4, 32, "weights", "int4pack"),
    (8, 32, "weights", "dense"),
]
SIZES = {"d_model": 64, "d_head": 16, "n_heads": 4, "d_ff": 96}


def packed(weight: torch.Tensor, bits: int, group: int | None, bias: torch.Tensor | None = None) -> PackedLinear:
    found = quantize_weight(weight, bits, group)
    return PackedLinear(pack(found.q_NK, bits), found.scale_NG, bias, weight.shape[1], bits, keep_dense=False)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", [(48, 64), (96, 192), (256, 128)], ids=str)
@pytest.mark.parametrize(("bits", "group", "products", "operator"), WAYS)
def test_a_row_s_bytes_are_its_own_and_right(bits, group, products, operator, shape, threads) -> None:
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(shape, generator=generator) * 0.1, torch.randn(shape[0], generator=generator)
    source = packed(weight, bits, group, bias)
    layer = QuantizedLinear(
        source, chosen(bits, shape[1], shape[0], source.weight_scale.shape[1], False, products, CPU)
    )
    assert layer.choice.operator == operator
    x = torch.randn(1, 70, shape[1], generator=generator).bfloat16()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        together = layer(x)
        sizes = (1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33, 64) if layer.row_multiple == 1 else (2, 8, 16, 64)
        assert all(torch.equal(layer(x[:, :rows]), together[:, :rows]) for rows in sizes)
    finally:
        torch.set_num_threads(before)
    expected = x.float() @ source.dequantized().t() + bias
    assert (together.float() - expected).norm() / expected.norm() < (
        0.02 if products == "activations" and bits == 8 and group is None else 0.008
    )


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize(("bits", "group", "products", "operator"), WAYS)
def test_joined_layers_give_each_layer_s_bytes(bits, group, products, operator, biased) -> None:
    """Those of int8, that is; the others stay apart."""
    generator = torch.Generator().manual_seed(0)
    layers = {}
    for n, width in enumerate((96, 32, 32)):
        weight, bias = torch.randn(width, 64, generator=generator), torch.randn(width, generator=generator)
        source = packed(weight, bits, group, bias if biased else None)
        choice = chosen(bits, 64, width, source.weight_scale.shape[1], False, products, CPU)
        layers[f"part{n}"] = QuantizedLinear(source, choice)
    x = torch.randn(33, 64, generator=generator).bfloat16()
    expected = [layer(x) for layer in layers.values()]
    module = torch.nn.ModuleDict(layers)
    join(module, tuple(layers))
    parts = list(module.values())
    assert all(isinstance(part, Part) == operator.startswith(("int8pack", "vnni")) for part in parts)
    for rows in (1, 3, 8, 33):
        assert torch.equal(side_by_side(parts)(x[:rows]), torch.cat(expected, 1)[:rows])


@pytest.mark.parametrize("products", ["dense", "weights", "activations"])
@pytest.mark.parametrize("fixed", [None, 0.03], ids=str)
def test_a_format_that_rounds_its_inputs_is_computed_as_it_says(fixed, products) -> None:
    """Near the same layer in fp32, with a scale a row or a fixed one; with a scale an output, and one for all."""
    generator = torch.Generator().manual_seed(0)
    weight, x = torch.randn(48, 64, generator=generator), torch.randn(20, 64, generator=generator).bfloat16()
    found = quantize_weight(weight, 8, None)
    for scale in (found.scale_NG, found.scale_NG.amax().view(1)):
        source = RoundedLinear(
            found.q_NK, scale, None if fixed is None else torch.tensor([fixed]), None, keep_dense=False
        )
        layer = QuantizedLinear(source, chosen(8, 64, 48, 1, True, products, CPU))
        assert layer.choice.operator == ("dense" if products == "dense" else whole_numbers().operator)
        expected = source(x.float())
        assert (layer(x).float() - expected).norm() / expected.norm() < 0.006
        if layer.row_multiple == 1:
            assert all(torch.equal(layer(x[:rows]), layer(x)[:rows]) for rows in (1, 3, 8, 17))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("fixed", [None, 0.03])
def test_kernels_give_the_plain_operators_bytes(fixed: float | None, threads: int, monkeypatch) -> None:
    """On several threads, too; with rows of zeros, inputs beyond a fixed scale's grid, and sums that neither 16 bits
    nor float32 hold."""
    q_NK = quantize_weight(torch.randn(200, 2100, generator=torch.Generator().manual_seed(0)), 8, None).q_NK
    q_NK[5], q_NK[6] = 127, -127
    scale_N1 = torch.rand(200, 1, generator=torch.Generator().manual_seed(2)) + 0.01
    source = RoundedLinear(q_NK, scale_N1, None if fixed is None else torch.tensor([fixed]), None, keep_dense=False)
    x_MK = torch.randn(65, 2100, generator=torch.Generator().manual_seed(1)).mul(2).bfloat16()
    x_MK[3], x_MK[4], x_MK[5] = 0, 3, torch.arange(2100).remainder(2).mul(6).sub(3)
    plain = QuantizedLinear(source, Choice("int_mm"))
    expected = plain.in_int8(x_MK)
    assert plain.in_int8(x_MK[4:5]).isfinite().all() and 2100 * 127 * 127 > 2**24
    assert torch.equal(plain(x_MK), expected)
    if whole_numbers().operator == "vnni":
        monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
        assert worth_threads(x_MK, len(q_NK))
        layer = QuantizedLinear(source, Choice("vnni"))
        assert torch.equal(layer(x_MK), expected)
        for begin, rows in ((0, 1), (4, 2), (3, 5), (9, 17)):
            assert torch.equal(layer(x_MK[begin : begin + rows]), expected[begin : begin + rows])


def test_one_scale_for_a_matrix() -> None:
    weight = torch.randn(48, 64, generator=torch.Generator().manual_seed(0))
    found = quantize_weight(weight, 8, None)
    source = PackedLinear(pack(found.q_NK, 8), found.scale_NG.amax().view(1, 1), None, 64, 8, keep_dense=False)
    x = torch.randn(9, 64).bfloat16()
    expected = x.float() @ source.dequantized().t()
    for products in ("weights", "activations"):
        layer = QuantizedLinear(source, chosen(8, 64, 48, 1, False, products, CPU))
        assert (layer(x).float() - expected).norm() / expected.norm() < 0.02


def test_layers_that_are_not_exact_are_padded(random_lm) -> None:
    """Of all kinds: plain, packed, rounded."""
    model = random_lm()
    assert multiple_of(model) == 8
    for make in (lambda w: packed(w, 8, None), rounded_of):
        for name, linear in layers_to_quantize(random_lm()).items():
            model.set_submodule(name, make(linear.weight.data))
        assert multiple_of(model) == 8
        assert multiple_of(run_quantized(model, "activations")) == 1


def rounded_of(weight: torch.Tensor) -> RoundedLinear:
    found = quantize_weight(weight, 8, None)
    return RoundedLinear(found.q_NK, found.scale_NG, None, None, keep_dense=True)


def test_each_fallback_has_its_reason() -> None:
    assert chosen(4, 96, 64, 2, False, "weights", CPU).why == "groups of 48; the int4 operator takes 32, 64, 128"
    assert chosen(4, 64, 24, 2, False, "weights", CPU).why == "24 outputs; the int4 operator takes multiples of 16"
    assert chosen(8, 64, 64, 2, False, "weights", CPU).why.startswith("2 groups of inputs")
    assert "for CPUs" in chosen(8, 64, 64, 1, False, "weights", torch.device("cuda")).why
    assert chosen(8, 64, 64, 1, False, "dense", CPU).operator == "dense"


@pytest.mark.parametrize(("bits", "group", "products", "operator"), WAYS)
def test_the_engine_s_promise_holds(bits, group, products, operator, random_lm) -> None:
    """Alone, in a batch and in training: the same bytes; near the float model; and no dense copy is kept."""
    model, prompt = random_lm(**SIZES), [9, 10, 11]
    reference = Engine(random_lm(**SIZES)).generate([Request(prompt, 1, logprobs=0)])[0].completions[0]
    for name, linear in layers_to_quantize(model).items():
        model.set_submodule(name, packed(linear.weight.data, bits, group))
    run_quantized(model, products)
    *lines, last = (line for line in table(model) if "bf16: " not in line)
    output = [line for line in lines if f"1 layers of {model.config.vocab_size} x" in line]
    assert all(operator in line for line in lines if line not in output) and last.startswith("instruction set: ")
    assert ["int8pack" in line for line in output] == [True] * (operator in ("int4pack", "int8pack"))
    assert not any(isinstance(module, PackedLinear) for module in model.modules())
    requests = [Request([9 + seed, 10, 11] * (1 + seed), 9, 0.8, seed=seed, logprobs=0) for seed in range(5)]
    together = Engine(model).generate(requests)
    lone = [Engine(model).generate([each])[0] for each in requests]
    assert [output.completions for output in together] == [output.completions for output in lone]
    for output in together:
        told = output.completions[0]
        with torch.no_grad():
            expected = log_probs(model, torch.tensor([[*output.request.prompt, *told.tokens]]))
        assert told.logprobs == expected[0, len(output.request.prompt) - 1 :].tolist()
    same = Request(prompt, 1, logit_bias={reference.tokens[0]: 100.0}, logprobs=0)
    assert Engine(model).generate([same])[0].completions[0].logprobs == pytest.approx(reference.logprobs, abs=0.5)
