"""Keeps bf16 matrices in the order in which oneDNN multiplies them: from its usual order each product would copy the
matrix first, which for a few rows takes longer than the product.

The bytes are those of F.linear, and no row's depend on the others', at any number of rows but one: at two threads a
lone row of 2,048 inputs differs. So rows are padded to an even number. Measured: docs/inference.md.

Legend: M rows, N outputs, K inputs, V vocabulary, D d_model.
"""

import torch
from torch import Tensor, nn

from llm.model.transformer import CausalLM

ROW_MULTIPLE = 2


def can_reorder(weight_NK: Tensor) -> bool:
    """Does this processor multiply bf16 so, and is this such a matrix?"""
    bf16_on_cpu = weight_NK.is_cpu and weight_NK.dtype == torch.bfloat16
    return bf16_on_cpu and torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def reordered(weight_NK: Tensor) -> Tensor:
    """Return a matrix in oneDNN's own order, which only `product` reads."""
    return torch.ops.mkldnn._reorder_linear_weight.default(weight_NK.detach())


def product(x_MK: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return x W^T + b, bf16 [M, N]; without a gradient."""
    return torch.ops.mkldnn._linear_pointwise.default(x_MK, weight, bias, "none", [], "")


class ReorderedLinear(nn.Module):
    """nn.Linear for inference alone, from its weight and bias."""

    row_multiple = ROW_MULTIPLE

    def __init__(self, weight_NK: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight_NK.shape
        self.weight = reordered(weight_NK)
        self.bias = None if bias is None else bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        y_MN = product(x.reshape(-1, self.in_features), self.weight, self.bias)
        return y_MN if x.ndim == 2 else y_MN.view(*x.shape[:-1], self.out_features)


def reorder(model: CausalLM) -> CausalLM:
    """Replace the plain linear layers of a bf16 model in place, the output layer's too; a tied one gets a copy of the
    embedding. Where the processor has no use for it, nothing happens."""
    if not can_reorder(model.output_weight):
        return model
    for name in [name for name, each in model.named_modules() if type(each) is nn.Linear]:
        layer = model.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        model.set_submodule(name, ReorderedLinear(layer.weight, layer.bias))
    if model.config.tie_embeddings:
        model.add_module("lm_head", ReorderedLinear(model.model.embed_tokens.weight, None))
    return model
