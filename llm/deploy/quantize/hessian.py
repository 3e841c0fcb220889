"""H = X^T X of calibration inputs X: what an error of the weights does to a layer's outputs.

Legend: M positions, N outputs, K inputs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from kernels.rounding_errors import add_dots

BLOCK = 256  # columns of H at once: what lies below its diagonal is what lies above
ROWS = 1024  # positions at once: of more, oneDNN shares one sum among threads, which changes its last bit
SPAN = 2048  # columns of one product at most: oneDNN keeps a megabyte for each shape of a product that it has met
AT_ONCE = 1 << 22  # weights whose errors are measured at once


@dataclass(frozen=True)
class Hessian:
    """H of inputs in the order order_K. h_KK: H above its diagonal; what else it holds is not read, so that GPTQ may
    put its factor there. diagonal_K: H's diagonal. All in this order."""

    h_KK: torch.Tensor
    order_K: torch.Tensor
    diagonal_K: torch.Tensor

    def importance(self) -> torch.Tensor:
        """Return the diagonal in the inputs' own order."""
        return torch.empty_like(self.diagonal_K).index_copy_(0, self.order_K, self.diagonal_K)

    def divided(self, factor_K: torch.Tensor) -> "Hessian":
        """Return H of the inputs divided by factors, which are in the inputs' own order."""
        factor_K = factor_K[self.order_K]
        return Hessian(self.h_KK / factor_K[:, None] / factor_K, self.order_K, self.diagonal_K / factor_K.square())

    def errors(self, half_CNK: torch.Tensor) -> torch.Tensor:
        """Return tr(dW H dW^T), the square error of the products with calibration inputs, of each dW, fp64 [C].
        half_CNK: bf16, contiguous, inputs in the order of H. Products are in bf16, whose errors mostly average out: to
        about a thousandth, a few hundredths where dW hardly errs on this text."""
        half_MK = half_CNK.flatten(0, 1)
        error_C = torch.zeros(len(half_CNK), dtype=torch.float64, device=half_CNK.device)
        for begin in range(0, half_MK.shape[1], BLOCK):
            own = slice(begin, begin + BLOCK)
            for rest in spans(begin, half_MK.shape[1]):
                upper_BK = self.h_KK[own, rest].bfloat16()
                if rest.start == begin:
                    upper_BK.triu_().diagonal().copy_(self.diagonal_K[own] / 2)
                product_CNB = (half_MK[:, rest] @ upper_BK.T).view_as(half_CNK[..., own])
                error_C += 2 * dots(product_CNB, half_CNK, begin)
        return error_C


def dots(product_CNB: torch.Tensor, half_CNK: torch.Tensor, begin: int) -> torch.Tensor:
    """Return the sums of the products of bf16 numbers, those of half_CNK from `begin` on, fp64 [C]."""
    sum_C = torch.zeros(len(half_CNK), dtype=torch.float64, device=half_CNK.device)
    if half_CNK.is_cpu:
        add_dots(sum_C.numpy(), begin, *(each.view(torch.int16).numpy() for each in (product_CNB, half_CNK)))
        return sum_C
    product_CNB = product_CNB * half_CNK[..., begin : begin + product_CNB.shape[-1]]
    return product_CNB.sum(-1, dtype=torch.float32).sum(-1, dtype=torch.float64)


def product_error(change_NK: torch.Tensor, h: Hessian) -> float:
    """Return tr(dW H dW^T) of one dW [N, K], its inputs in their own order."""
    parts = change_NK.split(max(1, AT_ONCE // change_NK.shape[1]))
    return float(sum(h.errors(rows.bfloat16()[None, :, h.order_K]) for rows in parts))


def hessian(x_MK: torch.Tensor, order_K: torch.Tensor | None = None) -> Hessian:
    """Make it, of inputs in this order (None: in their own). What is below the blocks on its diagonal stays zero."""
    n_in = x_MK.shape[1]
    h_KK = torch.zeros(n_in, n_in, device=x_MK.device)
    for x_RK in x_MK.split(ROWS):
        x_RK = x_RK.float() if order_K is None else x_RK.float().index_select(1, order_K)
        for begin in range(0, n_in, BLOCK):
            own = slice(begin, begin + BLOCK)
            for rest in spans(begin, n_in):
                h_KK[own, rest].addmm_(x_RK[:, own].T, x_RK[:, rest])
    return whole(h_KK, order_K)


def spans(begin: int, end: int) -> Iterator[slice]:
    """Yield what lies between, cut at multiples of SPAN."""
    while begin < end:
        until = min(end, begin - begin % SPAN + SPAN)
        yield slice(begin, until)
        begin = until


def whole(h_KK: torch.Tensor, order_K: torch.Tensor | None = None) -> Hessian:
    """Take a matrix as H of inputs in this order."""
    order_K = torch.arange(len(h_KK), device=h_KK.device) if order_K is None else order_K
    return Hessian(h_KK, order_K, h_KK.diagonal().clone())


@contextmanager
def fast_products(fast: bool = True) -> Iterator[None]:
    """Let oneDNN compute fp32 products: on AMD in half the time of MKL's, where there is AMX with inputs in bf16, which
    those of a model in bf16 are anyway. Or MKL, if not `fast`: on Intel its bits depend on the number of threads."""
    backend = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    kept, backend.fp32_precision = backend.fp32_precision, "bf16" if fast else "ieee"
    try:
        yield
    finally:
        backend.fp32_precision = kept
