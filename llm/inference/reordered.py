"""Keeps bf16 matrices in the order in which oneDNN multiplies them: from its usual order each product would copy the
matrix first, which for a few rows takes longer than the product. Matrices of the same inputs can be joined to one.

A kernel of ours multiplies them where they stand, faster than oneDNN at any number of rows, and adds in oneDNN's order;
on several threads where there is enough to do. Which order that is, is found by comparing at the start; where no known
one fits, or the processor has no such instruction, oneDNN multiplies. The bytes are those of F.linear, and no row's
depend on the others'. oneDNN alone gives a lone row of 1,536 inputs other bytes, seldom: it gets two of it. Where it
would multiply tiles (AMX), in orders that differ with the number of rows, a kernel for tiles does so in one order, and
the bytes are those of llm/inference/row_by_row.py. Measured: docs/inference.md.

Legend: M rows, N outputs, K inputs, V vocabulary, D d_model.
"""

import ctypes
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from llm.inference.row_by_row import PANEL, TILES, by_tiles, in_panels, over_panels, uses_tiles
from llm.model.transformer import CausalLM
from llm.runtime.malloc import give_back_code, give_back_freed_memory

try:
    from kernels.panels import has_instruction, multiply, rows_of_panels
except ImportError:  # where only torch and numpy are installed
    multiply = None  # type: ignore[assignment]

CUTS = (512, 1024)  # of long inputs, in oneDNN's sums
PROBED = 512  # outputs of the matrix that finds the cut
CHECKED = 4096  # rows of an embedding at once


def can_reorder(weight_NK: Tensor) -> bool:
    """Does this processor multiply bf16 so, and is this such a matrix?"""
    bf16_on_cpu = weight_NK.is_cpu and weight_NK.dtype == torch.bfloat16
    return bf16_on_cpu and torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


class Matrix:
    """A bf16 matrix [N, K] in oneDNN's own order. cut: into what parts the kernel cuts the inputs; TILES: it stands in
    panels of our own making, and is multiplied by tiles; None: no kernel is for this matrix, and `why`. `address` and
    `panel_bytes` tell the kernel where it stands."""

    cut: int | None = None
    why = ""

    def __init__(self, weight_NK: Tensor, tiles: bool = False) -> None:
        self.n_out, self.n_in = weight_NK.shape
        self.n_panels = -(-self.n_out // PANEL)
        if tiles:
            self.cut, self.stored = TILES, in_panels(weight_NK.detach())
            self.address, n_bytes = self.stored.data_ptr(), self.stored.nbytes
        else:
            self.stored = torch.ops.mkldnn._reorder_linear_weight.default(weight_NK.detach())
            self.address, n_bytes = torch.ops.mkldnn.data_ptr(self.stored), torch.ops.mkldnn._nbytes(self.stored)
        self.panel_bytes = n_bytes // self.n_panels

    @classmethod
    def of(cls, weight_NK: Tensor) -> "Matrix":
        """Return the matrix for tiles, or with the cut that gives oneDNN's bytes for it."""
        matrix = cls(weight_NK, uses_tiles())
        if matrix.cut is None:
            matrix.cut, matrix.why = known_cut(matrix)
        return matrix

    def dense(self) -> Tensor:
        """Return the matrix as it was, [N, K]."""
        if self.cut != TILES:
            return self.stored.to_dense()
        words_PNK = self.stored.view(torch.int32).transpose(1, 2)
        return words_PNK.flatten(0, 1).contiguous().view(torch.bfloat16)[: self.n_out, : self.n_in].contiguous()

    @property
    def has_panels(self) -> bool:
        """Can its memory be what the kernel reads? By its size; `agrees` compares the content."""
        in_panels = self.panel_bytes == 2 * PANEL * (-(-self.n_in // 32) * 32)
        return in_panels and self.n_in % 2 == 0 and self.address % 64 == 0

    def product(self, x_MK: Tensor, bias: Tensor | None) -> Tensor:
        """Return x W^T + b, bf16 [M, N], rounded once; without a gradient. bias: [N], or [M, N]: of each row."""
        if self.cut is None:
            return self.by_onednn(x_MK, bias)
        if self.cut == TILES:
            return by_tiles(x_MK, self.address, self.panel_bytes, self.n_out, bias)
        return self.by_kernel(x_MK, bias, self.cut)

    def by_onednn(self, x_MK: Tensor, bias: Tensor | None) -> Tensor:
        lone = len(x_MK) == 1
        x_MK = x_MK.expand(2, -1) if lone else x_MK
        if bias is not None and bias.ndim == 2:
            own_MN = bias.expand(len(x_MK), -1).contiguous()
            y_MN = torch.ops.mkldnn._linear_pointwise.binary(x_MK, own_MN, self.stored, None, "add")
        else:
            y_MN = torch.ops.mkldnn._linear_pointwise.default(x_MK, self.stored, bias, "none", [], "")
        return y_MN[:1] if lone else y_MN

    def by_kernel(self, x_MK: Tensor, bias: Tensor | None, cut: int) -> Tensor:
        x_MK, y_MN = x_MK.contiguous(), x_MK.new_empty((len(x_MK), self.n_out))
        address, step = 0, 0
        if bias is not None:
            bias = bias.contiguous()
            address, step = bias.data_ptr(), 2 * self.n_out * (bias.ndim - 1)
        given = x_MK.data_ptr(), len(x_MK), self.n_in, self.address, self.panel_bytes, self.n_out, cut, address, step
        over_panels(lambda first, end: multiply(*given, first, end, y_MN.data_ptr()), self.n_panels, x_MK, self.n_out)
        return y_MN


def known_cut(matrix: Matrix) -> tuple[int | None, str]:
    """Return the cut by which the kernel has oneDNN's bytes for a matrix; or None, and why there is none."""
    if multiply is None:
        return None, "numba is not installed"
    if not has_instruction():
        return None, "this processor has no AVX512-BF16"
    if not matrix.has_panels:
        return None, "oneDNN keeps it in an order that the kernel does not read"
    cut = cut_of(matrix.n_in)
    if cut is None or not agrees(matrix, cut):
        return None, "oneDNN adds in an order that the kernel does not know"
    return cut, ""


@cache
def cut_of(n_in: int) -> int | None:
    """Return the parts into which oneDNN cuts so many inputs, found by comparing; None: no known ones."""
    matrix = Matrix(torch.randn((PROBED, n_in), generator=torch.Generator().manual_seed(0)).bfloat16())
    return next((cut for cut in (*CUTS, n_in) if agrees(matrix, cut)), None)


def agrees(matrix: Matrix, cut: int) -> bool:
    """Are the kernel's bytes oneDNN's? Rounding to bf16 hides most differences of the sums. So a second product has a
    bias that takes away the first one's result: what is left shows the bits below."""
    x_MK = torch.randn((2, matrix.n_in), generator=torch.Generator().manual_seed(1)).bfloat16()
    expected_MN = matrix.by_onednn(x_MK, None)
    if not torch.equal(matrix.by_kernel(x_MK, None, cut), expected_MN):
        return False
    return all(torch.equal(matrix.by_kernel(x_MK, -row, cut), matrix.by_onednn(x_MK, -row)) for row in expected_MN)


class ReorderedLinear(nn.Module):
    """nn.Linear for inference alone, from its weight and bias."""

    row_multiple = 1

    def __init__(self, weight_NK: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight_NK.shape
        self.matrix = Matrix.of(weight_NK)
        self.bias = None if bias is None else bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        y_MN = self.matrix.product(x.reshape(-1, self.in_features), self.bias)
        return y_MN if x.ndim == 2 else y_MN.view(*x.shape[:-1], self.out_features)

    def plus(self, x_MK: Tensor, added_MN: Tensor) -> Tensor:
        """See llm/model/plus.py."""
        if self.bias is not None:
            return self(x_MK) + added_MN
        return self.matrix.product(x_MK, added_MN)

    @classmethod
    def joined(cls, layers: "list[ReorderedLinear]") -> "ReorderedLinear":
        """Return one layer with the outputs of several, side by side."""
        biases = [layer.bias for layer in layers if layer.bias is not None]
        weight_NK = torch.cat([layer.matrix.dense() for layer in layers])
        return cls(weight_NK, torch.cat(biases) if biases else None)


class ReorderedEmbedding(nn.Module):
    """nn.Embedding for inference, whose matrix is that of a ReorderedLinear."""

    def __init__(self, matrix: Matrix) -> None:
        super().__init__()
        self.matrix, self.weight = matrix, matrix.stored

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the tokens' rows, bf16 [..., D]."""
        x_RD = torch.empty((tokens.numel(), self.matrix.n_in), dtype=torch.bfloat16)
        n_words = self.matrix.n_panels * self.matrix.panel_bytes // 4
        memory: Any = (ctypes.c_int32 * n_words).from_address(self.matrix.address)
        words_TKN = np.frombuffer(memory, np.int32).reshape(self.matrix.n_panels, -1, PANEL)
        rows_of_panels(words_TKN, tokens.flatten().numpy(), x_RD.view(torch.int32).numpy())
        return x_RD.view(*tokens.shape, -1)

    @classmethod
    def of(cls, matrix: Matrix, embedding_VD: Tensor) -> "ReorderedEmbedding | None":
        """Return one for a matrix and its reordered copy; None where that stands in another order than panels, which
        comparing all rows tells."""
        if multiply is None or not matrix.has_panels:
            return None
        found = cls(matrix)
        for rows in torch.arange(len(embedding_VD)).split(CHECKED):
            if not torch.equal(found(rows).view(torch.int16), embedding_VD[rows].view(torch.int16)):
                return None
        return found


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
    """Replace the plain linear layers of a bf16 model in place, the output layer's too; of a tied one the embedding
    takes its rows, or stays beside it where the order is unknown. Where the processor has no use for it, nothing
    happens."""
    if not can_reorder(model.model.embed_tokens.weight):
        return model
    for name in [name for name, each in model.named_modules() if type(each) is nn.Linear]:
        layer = model.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        model.set_submodule(name, ReorderedLinear(layer.weight, layer.bias))
    if model.config.tie_embeddings and not hasattr(model, "lm_head"):
        head = ReorderedLinear(model.model.embed_tokens.weight, None)
        model.add_module("lm_head", head)
        embedding = ReorderedEmbedding.of(head.matrix, model.model.embed_tokens.weight.detach())
        model.model.set_submodule("embed_tokens", embedding or model.model.embed_tokens)
    give_back_freed_memory()
    give_back_code()
    return model


def table(model: CausalLM) -> Iterator[str]:
    """Say which bf16 products run by what, and why by no other: a line for each kind."""
    found = [getattr(each, "matrix", None) for each in model.modules()]
    matrices = [each for each in found if isinstance(each, Matrix)]
    for (n_out, n_in, why), count in Counter((each.n_out, each.n_in, each.why) for each in matrices).items():
        by = f"oneDNN: {why}" if why else f"the kernel for {'AMX' if uses_tiles() else 'AVX512-BF16'}"
        yield f"{count} layers of {n_out} x {n_in}, bf16: {by}"
