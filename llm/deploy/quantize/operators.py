"""Runs quantized weights quantized: chooses, for each linear layer, the operator of torch that multiplies packed
integers, or says why there is none and takes the dequantized matrix.

Each operator gives a row the same bytes whatever rows are beside it (tests/llm/deploy/quantize/test_operators.py), so
the engine's promise holds without padding. Dispatch by the number of rows would be faster for prompts and break it.
Activations are bf16: with others these operators take a scalar path, fifty times slower.

Legend: M rows, N outputs, K inputs, G groups of inputs.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llm.deploy.quantize.bit_packing import unpack
from llm.deploy.quantize.model import PackedLinear
from llm.model.transformer import CausalLM

Products = Literal["dense", "weights", "activations"]
Operator = Literal["int4pack", "int8pack", "int_mm", "dense"]
GROUPS = (32, 64, 128)
MULTIPLE_OF_OUTPUTS = 16


@dataclass(frozen=True)
class Choice:
    """operator: see QuantizedLinear. why: what stands in the way of another one; nothing where that one is best."""

    operator: Operator
    why: str = ""


def chosen(bits: int, n_in: int, n_out: int, n_groups: int, products: Products, device: torch.device) -> Choice:
    """Choose the operator for a layer."""
    if products == "dense":
        return Choice("dense", "asked for")
    if device.type != "cpu":
        return Choice("dense", f"torch's operators of packed weights are for CPUs, this is {device.type}")
    if bits == 8 and n_groups == 1:
        return Choice("int_mm" if products == "activations" else "int8pack")
    if bits == 8:
        return Choice("dense", f"{n_groups} groups of inputs; the int8 operators take one scale an output")
    if n_in // n_groups not in GROUPS:
        return Choice("dense", f"groups of {n_in // n_groups}; the int4 operator takes {', '.join(map(str, GROUPS))}")
    if n_out % MULTIPLE_OF_OUTPUTS:
        return Choice("dense", f"{n_out} outputs; the int4 operator takes multiples of {MULTIPLE_OF_OUTPUTS}")
    return Choice("int4pack", "int4 has no operator for int8 activations" if products == "activations" else "")


class QuantizedLinear(nn.Module):
    """y = x W^T + b for bf16 x. operator:

    int4pack, int8pack: the weights are integers, x stays bf16. int_mm: each row of x is rounded to int8 by its largest
    value, and integers are summed without error. dense: bf16 weights.
    """

    def __init__(self, packed: PackedLinear, choice: Choice) -> None:
        super().__init__()
        self.in_features, self.out_features = packed.in_features, packed.out_features
        self.bits, self.choice = packed.bits, choice
        self.exact_rows = choice.operator != "dense"
        self.register_buffer("bias", None if packed.bias is None else packed.bias.detach().bfloat16())
        q_NK = unpack(packed.weight_packed, packed.bits, packed.in_features)
        scale_NG = packed.weight_scale
        self.group_size = self.in_features // scale_NG.shape[1]
        weight, scale = packed.dequantized().bfloat16(), scale_NG[:, 0]
        if choice.operator == "int4pack":
            weight = torch.ops.aten._convert_weight_to_int4pack_for_cpu(q_NK.to(torch.int32) + 8, 1)
            scale = torch.stack([scale_NG.t(), torch.zeros_like(scale_NG.t())], -1).bfloat16().contiguous()
        elif choice.operator == "int8pack":
            weight, scale = q_NK, scale.bfloat16()
        elif choice.operator == "int_mm":
            weight, scale = q_NK, scale.float()
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)

    weight: Tensor
    scale: Tensor
    bias: Tensor | None

    def forward(self, x: Tensor) -> Tensor:
        y_MN = self.product(x.flatten(0, -2).contiguous())
        return (y_MN if self.bias is None else y_MN + self.bias).view(*x.shape[:-1], self.out_features)

    def product(self, x_MK: Tensor) -> Tensor:
        if self.choice.operator == "int4pack":
            return torch.ops.aten._weight_int4pack_mm_for_cpu(x_MK, self.weight, self.group_size, self.scale)
        if self.choice.operator == "int8pack":
            return torch.ops.aten._weight_int8pack_mm(x_MK, self.weight, self.scale)
        if self.choice.operator == "int_mm":
            largest_M1 = x_MK.float().abs().amax(-1, keepdim=True)
            scale_M1 = torch.where(largest_M1 > 0, largest_M1 / 127.0, 1.0)
            q_MK = torch.round(x_MK.float() / scale_M1).to(torch.int8)
            return (torch._int_mm(q_MK, self.weight.t()).float() * scale_M1 * self.scale).to(x_MK.dtype)
        return F.linear(x_MK, self.weight)


def run_quantized(model: CausalLM, products: Products) -> CausalLM:
    """Return a quantized model in bf16 whose packed layers run by their operators, in place; one without packed layers
    becomes bf16 alone."""
    packed = {name: module for name, module in model.named_modules() if isinstance(module, PackedLinear)}
    for name, module in packed.items():
        found = module.bits, module.in_features, module.out_features, module.weight_scale.shape[1]
        model.set_submodule(name, QuantizedLinear(module, chosen(*found, products, model.device)))
    return model.bfloat16() if not packed else dense_parts_in_bfloat16(model)


def dense_parts_in_bfloat16(model: CausalLM) -> CausalLM:
    """Convert what is not packed; the scales of some operators are fp32."""
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16()
    return model


def table(model: CausalLM) -> Iterator[str]:
    """Say which layers run by which operator, and why by no other: a line for each kind; then the instruction set."""
    layers = [module for module in model.modules() if isinstance(module, QuantizedLinear)]
    kinds = Counter((each.choice, each.bits, each.out_features, each.in_features) for each in layers)
    for (choice, bits, n_out, n_in), count in kinds.items():
        why = f": {choice.why}" if choice.why else ""
        yield f"{count} layers of {n_out} x {n_in}, {bits} bits: {choice.operator}{why}"
    yield f"instruction set: {torch.backends.cpu.get_cpu_capability()}"
