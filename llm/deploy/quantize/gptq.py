"""GPTQ (Frantar et al. 2022, arXiv:2210.17323): rounds a matrix column by column, and lets the columns that are still
to come make up for each one's error, as calibration inputs weigh it.

The scales are chosen before ("static groups"), so the columns can be taken in any order: those with the largest inputs
first ("act-order"), while the most columns are left to make up for them.

Legend: N outputs, K inputs, B columns of a block. H = X^T X of calibration inputs X, [K, K].
"""

from dataclasses import dataclass

import torch

from llm.errors import InputError
from llm.model.rounding import QuantizedWeight, expand

BLOCK = 128  # columns whose corrections to later ones are applied together


@dataclass(frozen=True)
class Correction:
    """What H says, for all matrices that share their inputs. order_K: of the columns. factor_KK: the upper Cholesky
    factor of the inverse of H in this order, by whose rows later columns make up for an error."""

    order_K: torch.Tensor
    factor_KK: torch.Tensor


def correction(h_KK: torch.Tensor, act_order: bool = True, damping: float = 0.01) -> Correction:
    """Make it. damping: of H's mean diagonal, added to its diagonal. Raises InputError where H has no inverse even
    so."""
    diagonal_K = h_KK.diagonal()
    order_K = torch.argsort(diagonal_K, descending=True, stable=True) if act_order else torch.arange(len(diagonal_K))
    return Correction(order_K, inverse_factor(h_KK[order_K][:, order_K], damping))


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
    order_K, factor_KK = correct.order_K, correct.factor_KK
    w_NK, original_NK = weight_NK[:, order_K].clone(), weight_NK[:, order_K]
    scale_NK = expand(scale_NG, weight_NK.shape[1])[:, order_K]
    q_NK = torch.empty_like(w_NK)
    # Levels are counted from the zero point here, so a zero point moves the grid's ends.
    zero_NK = expand(torch.zeros_like(scale_NG) if zero_NG is None else zero_NG.to(scale_NG.dtype), w_NK.shape[1])
    lowest_NK = -(2 ** (bits - 1)) - zero_NK[:, order_K]
    for begin in range(0, w_NK.shape[1], BLOCK):
        end = min(begin + BLOCK, w_NK.shape[1])
        # Columns are rows here, since those are contiguous.
        w_BN, s_BN = w_NK[:, begin:end].T.contiguous(), scale_NK[:, begin:end].T.contiguous()
        raw_BN = original_NK[:, begin:end].T
        low_BN = lowest_NK[:, begin:end].T.contiguous()
        high_BN = low_BN + (2**bits - 1)
        factor_BB, error_BN = factor_KK[begin:end, begin:end], torch.empty_like(w_BN)
        for i in range(end - begin):
            q_N = (w_BN[i] / s_BN[i]).round_().clamp_(low_BN[i], high_BN[i])
            q_NK[:, begin + i] = q_N
            error_BN[i] = (w_BN[i] - q_N * s_BN[i]) / factor_BB[i, i]
            if first_order:
                error_BN[i] -= first_order * (w_BN[i] - raw_BN[i])
            w_BN[i + 1 :].addr_(factor_BB[i, i + 1 :], error_BN[i], alpha=-1)
        w_NK[:, end:] -= error_BN.T @ factor_KK[begin:end, end:]
    back_K = torch.argsort(order_K)
    q_NK = q_NK[:, back_K] + zero_NK
    return QuantizedWeight(q_NK.to(torch.int8), scale_NG, bits, zero_NG=zero_NG)


def inverse_factor(h_KK: torch.Tensor, damping: float) -> torch.Tensor:
    """Return the upper Cholesky factor of the inverse of H, damped. Inputs that are always zero count as one."""
    damped_KK = h_KK.double()
    diagonal_K = damped_KK.diagonal()
    diagonal_K[diagonal_K == 0] = 1.0
    diagonal_K += damping * diagonal_K.mean()
    try:
        # Each in the place of the one before: the Hessian in double precision is the largest thing in memory.
        damped_KK = torch.linalg.cholesky(damped_KK)
        damped_KK = torch.cholesky_inverse(damped_KK)
        return torch.linalg.cholesky(damped_KK, upper=True).to(h_KK.dtype)
    except torch.linalg.LinAlgError as error:
        raise InputError(
            "quantize: the calibration's Hessian cannot be inverted; raise damping, or calibrate on more text"
        ) from error
