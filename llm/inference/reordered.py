"""Keeps bf16 matrices in the order in which oneDNN multiplies them: from its usual order each product would copy the
matrix first, which for a few rows takes longer than the product. Matrices of the same inputs can be joined to one.

The bytes are those of F.linear, and no row's depend on the others', at any number of rows but one: a lone row of 1,536
inputs or more can differ, seldom. So rows are padded to an even number. Measured: docs/inference.md.

Legend: M rows, N outputs, K inputs, V vocabulary, D d_model.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from llm.model.transformer import CausalLM
from llm.runtime.malloc import give_back_freed_memory

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

    @classmethod
    def joined(cls, layers: "list[ReorderedLinear]") -> "ReorderedLinear":
        """Return one layer with the outputs of several, side by side."""
        biases = [layer.bias for layer in layers if layer.bias is not None]
        weight_NK = torch.cat([layer.weight.to_dense() for layer in layers])
        return cls(weight_NK, torch.cat(biases) if biases else None)


class Part(nn.Module):
    """Some of the outputs of a joined layer, where a layer of its own was: for whoever does not know of the join."""

    def __init__(self, whole: Any, begin: int, end: int) -> None:
        super().__init__()
        self.whole, self.begin, self.end = whole, begin, end
        self.in_features, self.out_features = whole.in_features, end - begin
        self.row_multiple = whole.row_multiple

    def forward(self, x: Tensor) -> Tensor:
        return self.whole(x)[..., self.begin : self.end]


def join(module: nn.Module, names: tuple[str, ...]) -> None:
    """Make one layer of those layers of a module, if all are of one kind that can be joined."""
    layers: list[Any] = [module.get_submodule(name) for name in names]
    kind = type(layers[0])
    if not hasattr(kind, "joined") or any(type(each) is not kind for each in layers):
        return
    if len({each.bias is None for each in layers}) > 1:
        return
    whole = kind.joined(layers)
    end = 0
    for name, layer in zip(names, layers, strict=True) if whole is not None else ():
        begin, end = end, end + layer.out_features
        module.set_submodule(name, Part(whole, begin, end))


def side_by_side(layers: list[Any]) -> Callable[[Tensor], Tensor]:
    """Return what gives the outputs of layers that have the same inputs, each row's one after the other."""
    first = layers[0]
    if isinstance(first, Part) and all(isinstance(each, Part) and each.whole is first.whole for each in layers):
        return first.whole.forward
    return lambda x_MK: torch.cat([layer(x_MK) for layer in layers], -1)


def reorder(model: CausalLM) -> CausalLM:
    """Replace the plain linear layers of a bf16 model in place, the output layer's too; a tied one gets a copy of the
    embedding. Where the processor has no use for it, nothing happens."""
    if not can_reorder(model.model.embed_tokens.weight):
        return model
    for name in [name for name, each in model.named_modules() if type(each) is nn.Linear]:
        layer = model.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        model.set_submodule(name, ReorderedLinear(layer.weight, layer.bias))
    if model.config.tie_embeddings and not hasattr(model, "lm_head"):
        model.add_module("lm_head", ReorderedLinear(model.model.embed_tokens.weight, None))
    give_back_freed_memory()
    return model
