"""H = X^T X of calibration inputs X: what an error of the weights does to a layer's outputs.

Legend: M positions, N outputs, K inputs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

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

    def errors(self, changes: list[torch.Tensor]) -> torch.Tensor:
        """Return tr(dW H dW^T), the square error of the products with calibration inputs, of each dW, fp64. changes:
        [N, K], their columns in the inputs' own order. In bf16, whose errors mostly average out: to about a
        thousandth, a few hundredths where dW hardly errs on this text."""
        # Inputs are rows here, since those are contiguous.
        half_KN = torch.cat([change.bfloat16() for change in changes]).T.contiguous()[self.order_K]
        error_C = torch.zeros(len(changes), dtype=torch.float64, device=half_KN.device)
        for begin in range(0, len(half_KN), BLOCK):
            own = slice(begin, begin + BLOCK)
            for rest in spans(begin, len(half_KN)):
                upper_BK = self.h_KK[own, rest].bfloat16()
                if rest.start == begin:
                    upper_BK.triu_().diagonal().copy_(self.diagonal_K[own] / 2)
                product_BCN = (upper_BK @ half_KN[rest]).mul_(half_KN[own]).unflatten(1, (len(changes), -1))
                error_C += 2 * product_BCN.sum(-1, dtype=torch.float32).sum(0, dtype=torch.float64)
        return error_C


def product_error(change_NK: torch.Tensor, h: Hessian) -> float:
    """Return tr(dW H dW^T) of one dW."""
    return float(sum(h.errors([rows]) for rows in change_NK.split(max(1, AT_ONCE // change_NK.shape[1]))))


def hessian(x_MK: torch.Tensor, order_K: torch.Tensor | None = None) -> Hessian:
    """Make it, of inputs in this order (None: in their own). What is below the blocks on its diagonal stays zero."""
    n_in = x_MK.shape[1]
    h_KK = torch.zeros(n_in, n_in, device=x_MK.device)
    for x_RK in x_MK.split(ROWS):
        x_KR = x_RK.float().T
        x_KR = x_KR if order_K is None else x_KR.contiguous()[order_K]
        for begin in range(0, n_in, BLOCK):
            for rest in spans(begin, n_in):
                h_KK[begin : begin + BLOCK, rest].addmm_(x_KR[begin : begin + BLOCK], x_KR[rest].T)
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
