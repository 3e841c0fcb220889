"""H = X^T X of calibration inputs X: what an error of the weights does to a layer's outputs.

Legend: M positions, N outputs, K inputs.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

BLOCK = 256  # columns of H at once: what lies below its diagonal is what lies above
ROWS = 1024  # positions at once: of more, oneDNN shares one sum among threads, which changes its last bit


def gram(x_MK: torch.Tensor) -> torch.Tensor:
    """Return X^T X."""
    n_in = x_MK.shape[1]
    h_KK = x_MK.new_zeros(n_in, n_in)
    for begin in range(0, n_in, BLOCK):
        end = begin + BLOCK
        for x_RK in x_MK.split(ROWS):
            h_KK[begin:end, begin:] += x_RK[:, begin:end].T @ x_RK[:, begin:]
        h_KK[end:, begin:end] = h_KK[begin:end, end:].T
    return h_KK


@contextmanager
def fast_products() -> Iterator[None]:
    """Let oneDNN compute fp32 products: on AMD in half the time of MKL's, where there is AMX with inputs in bf16."""
    backend = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    kept, backend.fp32_precision = backend.fp32_precision, "bf16"
    try:
        yield
    finally:
        backend.fp32_precision = kept


def product_error(change_NK: torch.Tensor, h_KK: torch.Tensor) -> float:
    """Return tr(dW H dW^T), the square error of the products with calibration inputs."""
    error = 0.0
    for begin in range(0, change_NK.shape[1], BLOCK):
        part_NB, rows_BK = change_NK[:, begin : begin + BLOCK], h_KK[begin : begin + BLOCK]
        own = (part_NB @ rows_BK[:, begin : begin + BLOCK]) * part_NB
        later = (part_NB @ rows_BK[:, begin + BLOCK :]) * change_NK[:, begin + BLOCK :]
        error += float(own.sum(dtype=torch.float64)) + 2 * float(later.sum(dtype=torch.float64))
    return error


def shrink(h_KK: torch.Tensor, shrinkage: float) -> torch.Tensor:
    """Make H's off-diagonal less by this part, in place (Ledoit and Wolf 2004, toward the diagonal); return it.

    A few thousand tokens of some domains tell each input's size well and the inputs' correlations badly: what is made
    up for by correlations that other text does not have is an error there."""
    diagonal_K = h_KK.diagonal().clone()
    h_KK.mul_(1 - shrinkage).diagonal().copy_(diagonal_K)
    return h_KK
