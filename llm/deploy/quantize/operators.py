"""Runs quantized weights quantized: chooses, for each linear layer, the operator of torch that multiplies packed
integers, or says why there is none and takes the dequantized matrix.

Each operator gives a row the same bytes whatever rows are beside it (tests/llm/deploy/quantize/test_operators.py), so
the engine's promise holds without padding. Dispatch by the number of rows would be faster for prompts and break it.
Activations are bf16: with others these operators take a scalar path, fifty times slower.

Legend: M rows, N outputs, K inputs, G groups of inputs.
"""

from collections import Counter
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llm.deploy.quantize.activations import HALF, SMALLEST, input_scales, on_grid, rounded_inputs
from llm.deploy.quantize.bit_packing import unpack
from llm.deploy.quantize.model import PackedLinear, RoundedLinear
from llm.inference import reordered
from llm.inference.attention import raw
from llm.inference.reordered import Matrix, can_reorder, over_panels, reorder
from llm.inference.row_by_row import MULTIPLE
from llm.model.rounding import quantize_weight
from llm.model.transformer import CausalLM

try:
    from kernels import int8_tiles
    from kernels.int8_panels import has_instruction, in_panels, multiply_bytes, out_of_panels, round_to_bytes
    from kernels.tiles import has_tiles
except ImportError:  # where only torch and numpy are installed
    multiply_bytes = None  # type: ignore[assignment]

Products = Literal["dense", "weights", "activations"]
Operator = Literal["int4pack", "int8pack", "vnni", "int_mm", "dense"]
GROUPS = (32, 64, 128)
MULTIPLE_OF_OUTPUTS = 16
WORTH_TILES, WIDTH_OF_TILES = 16, 64  # rows from which on AMX multiplies faster; bytes of a tile's row


@dataclass(frozen=True)
class Choice:
    """operator: see QuantizedLinear. why: what stands in the way of another one; nothing where that one is best."""

    operator: Operator
    why: str = ""


def chosen(
    bits: int,
    n_in: int,
    n_out: int,
    n_groups: int,
    rounds: bool,
    products: Products,
    device: torch.device,
    zeros: bool = False,
) -> Choice:
    """Choose the operator for a layer. rounds: its inputs are rounded to int8, by its own format. zeros: it has zero
    points."""
    if products == "dense":
        return Choice("dense", "asked for")
    if device.type != "cpu":
        return Choice("dense", f"torch's operators of packed weights are for CPUs, this is {device.type}")
    if bits == 8 and zeros:
        return Choice("dense", "zero points; the int8 operators have none")
    if bits == 8 and n_groups == 1:
        return whole_numbers() if rounds or products == "activations" else Choice("int8pack")
    if bits == 8:
        return Choice("dense", f"{n_groups} groups of inputs; the int8 operators take one scale an output")
    if n_in // n_groups not in GROUPS:
        return Choice("dense", f"groups of {n_in // n_groups}; the int4 operator takes {', '.join(map(str, GROUPS))}")
    if n_out % MULTIPLE_OF_OUTPUTS:
        return Choice("dense", f"{n_out} outputs; the int4 operator takes multiples of {MULTIPLE_OF_OUTPUTS}")
    return Choice("int4pack", "int4 has no operator for int8 activations" if products == "activations" else "")


def whole_numbers() -> Choice:
    """Choose how int8 is multiplied with int8."""
    if multiply_bytes is None:
        return Choice("int_mm", "numba is not installed")
    if not has_instruction():
        return Choice("int_mm", "this processor has no AVX512-VNNI")
    return Choice("vnni")


class Panels:
    """An int8 matrix as the kernels for AVX512-VNNI and AMX read it, to the same bytes. scale_N: float32, of its
    outputs."""

    def __init__(self, q_NK: np.ndarray, scale_N: np.ndarray) -> None:
        self.weight, self.away_P = in_panels(q_NK)
        self.n_out, self.address = len(q_NK), self.weight.ctypes.data
        self.n_panels, self.row_bytes = len(self.weight), self.weight.shape[1] * self.weight.shape[3]
        self.scale_P = np.zeros(len(self.away_P), np.float32)
        self.scale_P[: self.n_out] = scale_N

    @classmethod
    def joined(cls, parts: "list[Panels]") -> "Panels":
        """Return the matrix with the outputs of several."""
        q_NK = np.concatenate([out_of_panels(each.weight, each.n_out) for each in parts])
        return cls(q_NK, np.concatenate([each.scale_P[: each.n_out] for each in parts]))

    def product(self, x_MK: Tensor, fixed: float | None) -> Tensor:
        """Return bf16 rows, rounded to int8, times the matrix; on all threads where that is worth while. fixed: the
        scale of the rows; None: each has its own."""
        n_rows, n_out = len(x_MK), self.n_out
        scale_M = np.empty(n_rows, np.float32) if fixed is None else np.full(n_rows, fixed, np.float32)
        byte_MQ, y_MN = np.empty((n_rows, self.row_bytes), np.uint8), x_MK.new_empty((n_rows, n_out))
        round_to_bytes(raw(x_MK), np.float32(HALF), np.float32(SMALLEST), fixed is not None, scale_M, byte_MQ)
        given, out = (byte_MQ, scale_M, self.address, self.away_P, self.scale_P, n_out), raw(y_MN)
        multiply = int8_tiles.multiply_bytes if self.takes_tiles(n_rows) else multiply_bytes
        over_panels(lambda first, end: multiply(*given, first, end, out), self.n_panels, x_MK, n_out)
        return y_MN

    def takes_tiles(self, n_rows: int) -> bool:
        return n_rows >= WORTH_TILES and self.row_bytes % WIDTH_OF_TILES == 0 and has_tiles("amx-int8")


class QuantizedLinear(nn.Module):
    """y = x W^T + b for bf16 x. operator:

    int4pack, int8pack: the weights are integers, x stays bf16. vnni, int_mm: x is rounded to int8, each row by its
    largest value unless the layer has a fixed scale, and integers are summed without error, so that both give the same
    bytes; int_mm copies the weights at each call. dense: bf16 weights.
    """

    def __init__(self, source: PackedLinear | RoundedLinear, choice: Choice) -> None:
        super().__init__()
        self.in_features, self.out_features = source.in_features, source.out_features
        self.bits, self.choice, self.rounds = bits_of(source), choice, isinstance(source, RoundedLinear)
        self.matrix: Matrix | None = None
        self.row_multiple = 1 if choice.operator != "dense" else MULTIPLE
        self.register_buffer("bias", None if source.bias is None else source.bias.detach().bfloat16())
        if isinstance(source, RoundedLinear):
            q_NK, input_scale = source.weight, source.input_scale
        else:
            q_NK, input_scale = unpack(source.weight_packed, source.bits, source.in_features), None
        self.register_buffer("input_scale", None if input_scale is None else input_scale.float())
        self.fixed = None if input_scale is None else float(input_scale)
        scale_NG = scales_of(source)
        self.group_size = self.in_features // scale_NG.shape[1]
        scale = scale_NG[:, 0].contiguous()
        if choice.operator == "int4pack":
            weight = torch.ops.aten._convert_weight_to_int4pack_for_cpu(q_NK.to(torch.int32) + 8, 1)
            zero_NG = source.weight_zero_point if isinstance(source, PackedLinear) else None
            offset_NG = torch.zeros_like(scale_NG) if zero_NG is None else -scale_NG * zero_NG
            scale = torch.stack([scale_NG.t(), offset_NG.t()], -1).bfloat16().contiguous()
        elif choice.operator == "int8pack":
            weight, scale = q_NK, scale.bfloat16()
        elif choice.operator == "vnni":
            self.panels, weight = Panels(q_NK.numpy(), scale.float().numpy()), q_NK[:0]
        elif choice.operator == "int_mm":
            weight, scale = q_NK, scale.float()
        else:
            weight = source.dequantized().bfloat16()
            if can_reorder(weight):
                self.matrix, weight, self.row_multiple = Matrix.of(weight), weight[:0], 1
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)

    weight: Tensor
    scale: Tensor
    bias: Tensor | None
    input_scale: Tensor | None

    @classmethod
    def joined(cls, layers: "list[QuantizedLinear]") -> "QuantizedLinear | None":
        """Return one layer of int8 with the outputs of several that have the same inputs, side by side; None where
        their operator is another, or the scale of the inputs is fixed."""
        operators = {each.choice.operator for each in layers}
        if operators not in ({"vnni"}, {"int8pack"}) or any(each.input_scale is not None for each in layers):
            return None
        whole = copy(layers[0])
        whole._buffers = dict(whole._buffers)  # a copy of a module shares them
        whole.out_features = sum(each.out_features for each in layers)
        whole.weight, whole.scale = (
            torch.cat([getattr(each, part) for each in layers]) for part in ("weight", "scale")
        )
        if operators == {"vnni"}:
            whole.panels = Panels.joined([each.panels for each in layers])
        biases = [each.bias for each in layers if each.bias is not None]
        whole.bias = torch.cat(biases) if biases else None
        return whole

    def forward(self, x: Tensor) -> Tensor:
        y_MN = self.product(x.flatten(0, -2).contiguous())
        return (y_MN if self.bias is None else y_MN + self.bias).view(*x.shape[:-1], self.out_features)

    def product(self, x_MK: Tensor) -> Tensor:
        if self.choice.operator == "int4pack":
            return torch.ops.aten._weight_int4pack_mm_for_cpu(x_MK, self.weight, self.group_size, self.scale)
        if self.choice.operator == "int8pack":
            return torch.ops.aten._weight_int8pack_mm(x_MK, self.weight, self.scale)
        if self.choice.operator == "vnni":
            return self.panels.product(x_MK, self.fixed)
        if self.choice.operator == "int_mm":
            return self.in_int8(x_MK)
        if self.rounds:
            x_MK = rounded_inputs(x_MK.float(), self.input_scale).to(x_MK.dtype)
        return F.linear(x_MK, self.weight) if self.matrix is None else self.matrix.product(x_MK, None)

    def in_int8(self, x_MK: Tensor) -> Tensor:
        scale_M1 = input_scales(x_MK.float()) if self.input_scale is None else self.input_scale
        q_MK = on_grid(x_MK.float(), scale_M1).to(torch.int8)
        return (torch._int_mm(q_MK, self.weight.t()).float() * scale_M1 * self.scale).to(x_MK.dtype)


def bits_of(source: PackedLinear | RoundedLinear) -> int:
    return source.bits if isinstance(source, PackedLinear) else 8


def scales_of(source: PackedLinear | RoundedLinear) -> Tensor:
    """Return a layer's scales, [N, G], though it may have one for the whole matrix."""
    return source.weight_scale.view(-1, source.weight_scale.shape[-1]).expand(source.out_features, -1)


def run_quantized(model: CausalLM, products: Products) -> CausalLM:
    """Return a quantized model in bf16 whose packed layers run by their operators, in place; one without packed layers
    becomes bf16 alone. Where weights alone are integers, for which reading takes most of the time, the output layer's
    are, too: it is the largest."""
    choices = []
    for name in [name for name, each in model.named_modules() if isinstance(each, PackedLinear | RoundedLinear)]:
        source = model.get_submodule(name)
        assert isinstance(source, PackedLinear | RoundedLinear)
        found = bits_of(source), source.in_features, source.out_features, scales_of(source).shape[1]
        rounds = isinstance(source, RoundedLinear)
        zeros = isinstance(source, PackedLinear) and source.weight_zero_point is not None
        choices.append(chosen(*found, rounds, products, model.device, zeros))
        model.set_submodule(name, QuantizedLinear(source, choices[-1]))
    if any(choice.operator in ("int4pack", "int8pack") for choice in choices):
        model.add_module("lm_head", rounded_output_layer(model))
    for parameter in model.parameters():  # the scales of some operators stay fp32, and are buffers
        parameter.data = parameter.data.bfloat16()
    return reorder(model)


def rounded_output_layer(model: CausalLM) -> QuantizedLinear:
    """Return the output layer with int8 weights, a scale for each token."""
    found = quantize_weight(model.output_weight.detach().float(), 8, None)
    source = RoundedLinear(found.q_NK, found.scale_NG, None, None, keep_dense=False)
    return QuantizedLinear(source, Choice("int8pack"))


def table(model: CausalLM) -> Iterator[str]:
    """Say which layers run by which operator, and why by no other: a line for each kind; what multiplies the bf16 ones;
    then the instruction set."""
    layers = [module for module in model.modules() if isinstance(module, QuantizedLinear)]
    kinds = Counter((each.choice, each.bits, each.out_features, each.in_features) for each in layers)
    for (choice, bits, n_out, n_in), count in kinds.items():
        why = f": {choice.why}" if choice.why else ""
        yield f"{count} layers of {n_out} x {n_in}, {bits} bits: {choice.operator}{why}"
    yield from reordered.table(model)
    yield f"instruction set: {torch.backends.cpu.get_cpu_capability()}"
