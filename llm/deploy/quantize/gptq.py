"""GPTQ (Frantar et al. 2022, arXiv:2210.17323): rounds a matrix column by column, and lets the columns that are still
to come make up for each one's error, as calibration inputs weigh it.

The scales are chosen before ("static groups"), so the columns can be taken in any order: those with the largest inputs
first ("act-order"), while the most columns are left to make up for them.

With H = R R^T, R upper triangular, the best value of column k, given the errors W - Q of those before, is
w_k + sum_i (w_i - q_i) R_ik / R_kk: what GPTQ computes by a factor of H's inverse (Chee et al. 2023, arXiv:2307.13304,
theorem 6). So H need not be inverted.

Legend: N outputs, K inputs, B columns of a block. H = X^T X of calibration inputs X, [K, K].
"""

from dataclasses import dataclass

import torch

from llm.deploy.quantize.hessian import shrink
from llm.errors import InputError
from llm.model.rounding import QuantizedWeight

BLOCK = 128  # columns whose corrections to later ones are applied together


@dataclass(frozen=True)
class Correction:
    """What H says, for all matrices that share their inputs. order_K: of the columns. feedback_KK: by how much column k
    makes up for an error of column i, in this order: R_ik / R_kk. pivot_K: R_kk."""

    order_K: torch.Tensor
    feedback_KK: torch.Tensor
    pivot_K: torch.Tensor


def correction(h_KK: torch.Tensor, act_order: bool = True, damping: float = 0.01, shrinkage: float = 0.0) -> Correction:
    """Make it. damping: of H's mean diagonal, added to its diagonal. shrinkage: by this part H's off-diagonal is made
    less (hessian.py). Raises InputError where H cannot be factored even so."""
    diagonal_K = h_KK.diagonal()
    in_order_K = torch.arange(len(diagonal_K), device=h_KK.device)
    order_K = torch.argsort(diagonal_K, descending=True, stable=True) if act_order else in_order_K
    back_K = order_K.flip(0)  # since a lower factor of H backwards is an upper one of H
    for dtype in (h_KK.dtype, torch.float64):
        factor_KK = shrink(h_KK[back_K[:, None], back_K].to(dtype), shrinkage)
        if factored(factor_KK, damping):
            lower_KK = factor_KK.to(h_KK.dtype)
            pivot_K = lower_KK.diagonal().clone()
            return Correction(order_K, lower_KK.div_(pivot_K).flip(0, 1), pivot_K.flip(0))
    raise InputError("quantize: the calibration's Hessian cannot be factored; raise damping, or calibrate on more text")


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
    order_K, feedback_KK = correct.order_K, correct.feedback_KK
    n_out, n_in = weight_NK.shape
    group_K = order_K // (n_in // scale_NG.shape[1])
    q_NK = torch.empty(n_out, n_in, dtype=torch.int8, device=weight_NK.device)
    error_KN = torch.empty(n_in, n_out, dtype=weight_NK.dtype, device=weight_NK.device)
    # Levels are counted from the zero point here, so a zero point moves the grid's ends.
    offset_NG = torch.zeros_like(scale_NG) if zero_NG is None else zero_NG.to(scale_NG.dtype)
    for begin in range(0, n_in, BLOCK):
        end = min(begin + BLOCK, n_in)
        # Columns are rows here, since those are contiguous.
        raw_BN, s_BN = weight_NK[:, order_K[begin:end]].T.contiguous(), scale_NG.T[group_K[begin:end]]
        zero_BN = offset_NG.T[group_K[begin:end]]
        low_BN = -(2 ** (bits - 1)) - zero_BN
        high_BN = low_BN + (2**bits - 1)
        w_BN = raw_BN + feedback_KK[:begin, begin:end].T @ error_KN[:begin]
        q_BN, error_BN = torch.empty_like(w_BN), error_KN[begin:end]
        columns = zip(*(each.unbind() for each in (w_BN, raw_BN, s_BN, low_BN, high_BN, q_BN, error_BN)), strict=True)
        for i, (w_N, raw_N, s_N, low_N, high_N, q_N, error_N) in enumerate(columns):
            torch.div(w_N, s_N, out=q_N).round_().clamp_(low_N, high_N)
            torch.addcmul(raw_N, q_N, s_N, value=-1, out=error_N)
            if first_order:
                error_N -= (w_N - raw_N) * (first_order / correct.pivot_K[begin + i])
            w_BN[i + 1 :].addr_(feedback_KK[begin + i, begin + i + 1 : end], error_N)
        q_NK[:, order_K[begin:end]] = (q_BN + zero_BN).T.to(torch.int8)
    return QuantizedWeight(q_NK, scale_NG, bits, zero_NG=zero_NG)


def factored(h_KK: torch.Tensor, damping: float) -> bool:
    """Damp H, and put its lower Cholesky factor in its place; return whether it has one. Inputs that are always zero
    count as one."""
    diagonal_K = h_KK.diagonal()
    diagonal_K[diagonal_K == 0] = 1.0
    diagonal_K += damping * diagonal_K.mean()
    # H equals its transpose, which lies in memory as LAPACK wants it; the upper factor of that is the lower one of H.
    failed = torch.empty((), dtype=torch.int32, device=h_KK.device)
    torch.linalg.cholesky_ex(h_KK.T, upper=True, out=(h_KK.T, failed))
    return not failed
