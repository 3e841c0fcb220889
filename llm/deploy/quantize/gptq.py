"""GPTQ (Frantar et al. 2022, arXiv:2210.17323): rounds a matrix column by column, and lets the columns that are still
to come make up for each one's error, as calibration inputs weigh it.

The scales are chosen before ("static groups"), so the columns can be taken in any order: those with the largest inputs
first ("act-order"), while the most columns are left to make up for them.

With H = R R^T, R upper triangular, the best value of column k, given the errors W - Q of those before, is
w_k + sum_i (w_i - q_i) R_ik / R_kk: what GPTQ computes by a factor of H's inverse (Chee et al. 2023, arXiv:2307.13304,
theorem 6). So H need not be inverted.

H's rows and columns are in the reverse of this order here: then R is a lower factor, which LAPACK makes. It takes the
place of what is below H's diagonal, so that no second matrix of this size is in memory.

Legend: N outputs, K inputs, B columns of a block. H = X^T X of calibration inputs X, [K, K].
"""

from dataclasses import dataclass

import numpy as np
import torch

from kernels.rounding import round_columns
from llm.deploy.quantize.hessian import Hessian, fast_products, spans
from llm.errors import InputError
from llm.model.rounding import QuantizedWeight

BLOCK = 128  # columns whose corrections to others are applied together
AT_ONCE = 1 << 24  # weights that are rounded at once


@dataclass(frozen=True)
class Correction:
    """What H says, for all matrices that share their inputs. order_K: of the columns, that which is rounded first
    last. factor_KK: R in this order, below the diagonal; what is above is not read. pivot_K: its diagonal."""

    order_K: torch.Tensor
    factor_KK: torch.Tensor
    pivot_K: torch.Tensor

    def feedback(self, rows: slice, columns: slice) -> torch.Tensor:
        """Return by how much columns make up for the errors of others, `rows`, that are rounded before them."""
        return self.factor_KK[rows, columns] / self.pivot_K[columns]


def rounding_order(x_MK: torch.Tensor, act_order: bool) -> torch.Tensor:
    """Return in which order H has its inputs: that which is rounded first last."""
    n_in = x_MK.shape[1]
    if not act_order:
        return torch.arange(n_in - 1, -1, -1, device=x_MK.device)
    square_K = torch.stack([rows.float().square().sum(0) for rows in x_MK.split(1024)]).sum(0)
    return torch.argsort(square_K, descending=True, stable=True).flip(0)


def correction(h: Hessian, damping: float = 0.01, shrinkage: float = 0.0) -> Correction:
    """Make it, in the place of H's lower half. damping: of H's mean diagonal, added to its diagonal. shrinkage: by this
    part H's off-diagonal is made less (Ledoit and Wolf 2004, toward the diagonal): a few thousand tokens of some
    domains tell each input's size well and the inputs' correlations badly, and what is made up for by correlations that
    other text does not have is an error there. Raises InputError where H cannot be factored even so."""
    for dtype in (h.h_KK.dtype, torch.float64):
        factor_KK = h.h_KK.to(dtype)
        with fast_products(False):  # of more shapes than oneDNN should keep kernels for
            found = factored(factor_KK, damped(h.diagonal_K, damping).to(dtype), 1 - shrinkage)
        if found:
            return Correction(h.order_K, factor_KK.to(h.h_KK.dtype), factor_KK.diagonal().to(h.h_KK.dtype))
    raise InputError("quantize: the calibration's Hessian cannot be factored; raise damping, or calibrate on more text")


def damped(diagonal_K: torch.Tensor, damping: float) -> torch.Tensor:
    """Return H's diagonal, damped. Inputs that are always zero count as one."""
    diagonal_K = torch.where(diagonal_K == 0, 1.0, diagonal_K)
    return diagonal_K + damping * diagonal_K.mean()


def factored(h_KK: torch.Tensor, diagonal_K: torch.Tensor, kept: float) -> bool:
    """Put the lower Cholesky factor of a matrix into the lower half of h_KK; return whether it has one. The matrix is
    `kept` times what is above h_KK's diagonal, and diagonal_K."""
    n_in = len(h_KK)
    for begin in range(0, n_in, BLOCK):
        end = min(begin + BLOCK, n_in)
        before_BP, upper_BB = h_KK[begin:end, :begin], h_KK[begin:end, begin:end].triu(1)
        own_BB = kept * (upper_BB + upper_BB.T) + diagonal_K[begin:end].diag()
        own_BB -= before_BP @ before_BP.T
        lower_BB, failed = torch.linalg.cholesky_ex(own_BB)
        if failed:
            return False
        h_KK[begin:end, begin:end] = upper_BB + lower_BB
        for rows in spans(end, n_in):
            below_RB = torch.addmm(h_KK[begin:end, rows].T, h_KK[rows, :begin], before_BP.T, beta=kept, alpha=-1)
            h_KK[rows, begin:end] = torch.linalg.solve_triangular(lower_BB.T, below_RB, upper=True, left=False)
    return True


def gptq(
    weight_NK: torch.Tensor,
    correct: Correction,
    scale_NG: torch.Tensor,
    bits: int,
    *,
    zero_NG: torch.Tensor | None = None,
    first_order: float = 0.0,
) -> QuantizedWeight:
    """Round a matrix with given scales and zero points. first_order: how much of a column's drift from its original
    counts as error too (FOEM, arXiv:2507.11017); 0: GPTQ."""
    n_out, n_in = weight_NK.shape
    # Levels are counted from the zero point here, so a zero point moves the grid's ends.
    offset_NG = torch.zeros_like(scale_NG) if zero_NG is None else zero_NG.to(scale_NG.dtype)
    grids = scale_NG.expand(n_out, -1), offset_NG.expand(n_out, -1)
    q_NK = torch.empty(n_out, n_in, dtype=torch.int8, device=weight_NK.device)
    step = max(1, AT_ONCE // n_in)
    for rows in (slice(begin, begin + step) for begin in range(0, n_out, step)):  # a row is rounded by itself
        scale_RG, offset_RG = (each[rows] for each in grids)
        q_NK[rows] = round_rows(weight_NK[rows], scale_RG, offset_RG, correct, bits, first_order)
    return QuantizedWeight(q_NK, scale_NG, bits, zero_NG=zero_NG)


def round_rows(
    weight_NK: torch.Tensor,
    scale_NG: torch.Tensor,
    offset_NG: torch.Tensor,
    correct: Correction,
    bits: int,
    first_order: float,
) -> torch.Tensor:
    """Return the levels of some rows, int8 [N, K]."""
    n_out, n_in = weight_NK.shape
    group_K = correct.order_K // (n_in // scale_NG.shape[1])
    # Columns are rows here, since those are contiguous.
    weight_KN, scale_GN, offset_GN = (each.T.contiguous() for each in (weight_NK, scale_NG, offset_NG))
    q_KN = torch.empty(n_in, n_out, dtype=torch.int8, device=weight_NK.device)
    error_KN = torch.empty_like(weight_KN)
    for begin in reversed(range(0, n_in, BLOCK)):
        end = min(begin + BLOCK, n_in)
        own = slice(begin, end)
        column_B = correct.order_K[own]
        raw_BN, group_B = weight_KN[column_B], group_K[own]
        w_BN = raw_BN.clone()
        for done in spans(end, n_in):
            w_BN.addmm_(correct.feedback(done, own).T, error_KN[done])
        drift_B = first_order / correct.pivot_K[own]
        given = scale_GN, offset_GN, group_B, correct.feedback(own, own), drift_B, bits
        q_KN[column_B], error_KN[own] = columns(w_BN, raw_BN, *given, w_BN.is_cpu)
    return q_KN.T


def columns(
    w_BN: torch.Tensor,
    raw_BN: torch.Tensor,
    scale_GN: torch.Tensor,
    offset_GN: torch.Tensor,
    group_B: torch.Tensor,
    back_BB: torch.Tensor,
    drift_B: torch.Tensor,
    bits: int,
    compiled: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Round the columns of a block from the last to the first. Each one's error, times its row of back_BB, goes to
    those before it, in w_BN. group_B: whose scales and zero points a column has. drift_B: how much of what a column has
    made up for counts as error, too. compiled: by a kernel, on a CPU. Returns levels, int8, and errors, [B, N]."""
    lowest, highest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    q_BN, error_BN = torch.empty_like(w_BN, dtype=torch.int8), torch.empty_like(w_BN)
    if compiled:
        tensors = w_BN, raw_BN, scale_GN, offset_GN, group_B, back_BB, drift_B, q_BN, error_BN
        round_columns(np.float32(lowest), np.float32(highest), *(each.numpy() for each in tensors))
        return q_BN, error_BN
    for k in reversed(range(len(w_BN))):
        scale_N, zero_N = scale_GN[group_B[k]], offset_GN[group_B[k]]
        level_N = (w_BN[k] / scale_N).round().clamp(lowest - zero_N, highest - zero_N)
        q_BN[k] = level_N + zero_N
        error_BN[k] = raw_BN[k] - level_N * scale_N - (w_BN[k] - raw_BN[k]) * drift_B[k]
        w_BN[:k].addr_(back_BB[k, :k], error_BN[k])
    return q_BN, error_BN
