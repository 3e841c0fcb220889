"""Quantizes a weight matrix by round-to-nearest, per output channel or per group of inputs.

W is approximated by (q - zero) * scale, with q whole numbers of `bits` bits; a symmetric grid has no zero points.
Training on the grid (llm/model/on_grid.py) and llm/deploy/quantize/, whose other methods make the same QuantizedWeight,
share these lines: so what was trained is what is exported.

Legend: N outputs, K inputs, G groups of K / G inputs each (one group: per channel).
"""

import math
from dataclasses import dataclass

import torch
from torch import nn

from llm.errors import InputError
from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM

PREFERRED_GROUP = 32  # inference kernels exist for groups of 32, 64 and 128


@dataclass(frozen=True)
class QuantizedWeight:
    """A quantized matrix: `q_NK` int8 in [-2^(bits-1), 2^(bits-1) - 1]; `scale_NG` in the weight's dtype, [1, 1] where
    the whole matrix has one. input_scale_1: of its inputs, where these are rounded by a fixed scale. zero_NG: int8,
    which q stands for zero; None: 0 does."""

    q_NK: torch.Tensor
    scale_NG: torch.Tensor
    bits: int
    input_scale_1: torch.Tensor | None = None
    zero_NG: torch.Tensor | None = None

    def dequantized(self) -> torch.Tensor:
        """Return (q - zero) * scale, [N, K] in scale's dtype."""
        q_NGS = by_group(self.q_NK, self.scale_NG)
        if self.zero_NG is not None:
            q_NGS = q_NGS.to(torch.int16) - self.zero_NG[..., None]
        return (q_NGS * self.scale_NG[..., None]).flatten(1)

    def rows(self, begin: int, end: int) -> "QuantizedWeight":
        """Return some rows as a matrix of their own."""
        scale_NG = self.scale_NG.expand(len(self.q_NK), -1)[begin:end]
        zero_NG = None if self.zero_NG is None else self.zero_NG[begin:end]
        return QuantizedWeight(self.q_NK[begin:end], scale_NG, self.bits, self.input_scale_1, zero_NG)


def quantize_weight(
    weight_NK: torch.Tensor, bits: int, group_size: int | None, per_tensor: bool = False
) -> QuantizedWeight:
    """Round a matrix to nearest. `group_size` inputs share a scale; None: all of a row. per_tensor: all of the matrix.

    8 bits: scale = max|W| / 127, q in [-127, 127]. Fewer: scale = max|W| / (2^(bits-1) - 1/2), so that all 2^bits
    levels are used. Either way |W - q scale| <= scale / 2. A group of zeros has scale 1. Ties round to even.
    """
    checked(weight_NK, group_size)
    return nearest(weight_NK, bits, group_size, per_tensor)


def checked(weight_NK: torch.Tensor, group_size: int | None) -> torch.Tensor:
    """Return a matrix by its groups, [N, G, S]. Raises InputError where it has none, or is not finite."""
    n_in = weight_NK.shape[1]
    if n_in % (group_size or n_in):
        raise InputError(
            f"a weight of {n_in} inputs has no whole number of groups of {group_size}; see fitting_group_size"
        )
    if not is_finite(weight_NK):
        raise InputError("a weight is not finite: the model diverged; quantize an earlier checkpoint")
    return weight_NK.unflatten(1, (-1, group_size or n_in))


def is_finite(tensor: torch.Tensor) -> bool:
    """Are all numbers finite? One pass, without a tensor of answers."""
    return tensor.numel() == 0 or bool(torch.stack(torch.aminmax(tensor)).isfinite().all())


def nearest(weight_NK: torch.Tensor, bits: int, group_size: int | None, per_tensor: bool = False) -> QuantizedWeight:
    """Do what quantize_weight does without a look at the weights, for which a GPU would have to be waited for."""
    w_NGS = weight_NK.unflatten(1, (-1, group_size or weight_NK.shape[1]))
    largest_NG = largest_of(w_NGS)
    largest_NG = largest_NG.amax().view(1, 1) if per_tensor else largest_NG
    return rounded(weight_NK, absmax_scales(largest_NG, bits), bits)


def rounded(
    weight_NK: torch.Tensor, scale_NG: torch.Tensor, bits: int, zero_NG: torch.Tensor | None = None
) -> QuantizedWeight:
    """Round a matrix to nearest with given scales and zero points."""
    limit = 2 ** (bits - 1)
    q_NGS = (by_group(weight_NK, scale_NG) / scale_NG[..., None]).round_()
    if zero_NG is not None:
        q_NGS += zero_NG[..., None]
    q_NK = q_NGS.clamp_(-limit, limit - 1).to(torch.int8).flatten(1)
    return QuantizedWeight(q_NK, scale_NG, bits, zero_NG=zero_NG)


def by_group(matrix_NK: torch.Tensor, scale_NG: torch.Tensor) -> torch.Tensor:
    """Return a matrix by the groups that have these scales, [N, G, S]."""
    return matrix_NK.unflatten(1, (scale_NG.shape[1], -1))


def largest_of(w_NGS: torch.Tensor) -> torch.Tensor:
    """Return the largest absolute value of each group, [N, G], without a second matrix."""
    return torch.maximum(w_NGS.amax(-1), -w_NGS.amin(-1))


def absmax_scales(largest_NG: torch.Tensor, bits: int) -> torch.Tensor:
    """Return the scales of groups whose largest weights have these absolute values."""
    # It is a tensor because a GPU multiplies by a number's reciprocal, whose result differs from the quotient's last
    # bit.
    top = largest_NG.new_full((1,), 127.0 if bits == 8 else 2 ** (bits - 1) - 0.5)
    return torch.where(largest_NG > 0, largest_NG / top, torch.ones_like(largest_NG))


def layers_to_quantize(model: CausalLM) -> dict[str, nn.Linear]:
    """Return the decoder's linear layers by their dotted names, in the model's order. Embeddings, norms and lm_head
    keep full precision."""
    modules = model.model.named_modules(prefix="model")
    return {name: module for name, module in modules if isinstance(module, nn.Linear)}


def group_size_of(config: ModelConfig, wanted: int | None) -> int | None:
    """Return the group size of a model's layers: `wanted`, where that fits."""
    return fitting_group_size(wanted, [config.d_model, config.n_heads * config.d_head, config.d_ff])


def fitting_group_size(wanted: int | None, widths: list[int]) -> int | None:
    """Return the group size for layers of these input widths, one for the whole model because the format states only
    one.

    It is `wanted` where that divides them all; else the largest power of two below it that does, if that is at least
    32; else their largest common divisor not above `wanted`. None (per channel) stays None.
    """
    if wanted is None:
        return None
    if wanted < 1:
        raise InputError(f"group_size: {wanted} is not positive; null means one scale per output channel")
    common = math.gcd(*widths)
    divisors = [size for size in range(1, min(wanted, common) + 1) if common % size == 0]
    powers = [size for size in divisors if size & (size - 1) == 0 and size >= PREFERRED_GROUP]
    return divisors[-1] if divisors[-1] == wanted or not powers else powers[-1]
