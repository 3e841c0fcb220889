"""Computes output layer and cross-entropy in one operation that never holds all logits, with its gradient.

Legend: M positions (batch times tokens), C positions of a chunk, D d_model, V vocabulary.
The idea is Liger's and Apple's Cut Cross-Entropy's (Wijmans et al. 2024): since the loss is the last thing computed,
its gradient is known in the forward pass up to the factor that arrives in backward. On two CPU cores the logits of a
chunk stay in the cache: softmax over 4,096 x 4,096 takes 5 ms in chunks, 23 ms at once.
"""

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F

CHUNK = 256  # positions: what fits a CPU's cache; a GPU needs more at once to be busy
CUDA_CHUNK = 4096
TINY = torch.finfo(torch.float32).tiny


def cross_entropy(
    x_MD: torch.Tensor,
    weight_VD: torch.Tensor,
    target_M: torch.Tensor,
    positions: int | None = None,
    z_loss: float = 0.0,
    compiled: bool = False,
) -> torch.Tensor:
    """Return the sum of -ln softmax(x W^T)[target] over M positions, in nats, divided by `positions` (default M: the
    mean; larger where the M are a part of a batch): fp32 scalar, differentiable in x and weight.

    With z_loss (PaLM, Chowdhery et al. 2022, section 5) the gradient is that of the sum of -ln p + z_loss ln(Z)^2, Z
    the softmax's denominator; the value stays the cross-entropy, which runs are compared by. Products run in x's dtype,
    softmax and sums in fp32. `compiled`: on a GPU what lies between the products is one compiled function.
    """
    return LinearCrossEntropy.apply(x_MD, weight_VD, target_M, positions or len(target_M), z_loss, compiled)


def token_losses(x_MD: torch.Tensor, weight_VD: torch.Tensor, target_M: torch.Tensor) -> torch.Tensor:
    """Return -ln p(target) of every position: fp32 [M], without gradient."""
    weight = weight_VD.to(x_MD.dtype)
    losses = []
    with torch.no_grad():
        for x_CD, target_C in zip(x_MD.split(chunk_for(x_MD)), target_M.split(chunk_for(x_MD)), strict=True):
            logits_CV = x_CD @ weight.T
            if x_MD.is_cpu:
                losses.append(losses_of(logits_CV, logits_CV.softmax(-1, dtype=torch.float32), target_C))
            else:
                losses.append(F.cross_entropy(logits_CV.float(), target_C, reduction="none"))
    return torch.cat(losses)


class LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x_MD, weight_VD, target_M, positions, z_loss, compiled):
        weight = weight_VD.detach().to(x_MD.dtype)
        grad_x_MD = torch.empty_like(x_MD)
        grad_weight_VD = torch.zeros_like(weight_VD)
        total = torch.zeros((), dtype=torch.float32, device=x_MD.device)
        chunk = chunk_for(x_MD)
        of_logits = loss_and_gradient_in_place if x_MD.is_cpu else compiled_form() if compiled else loss_and_gradient
        # The same memory serves every chunk, since what has just been written is in the cache.
        logits_CV = x_MD.new_empty(min(chunk, len(target_M)), len(weight))
        for start in range(0, len(target_M), chunk):
            x_CD, target_C = x_MD[start : start + chunk], target_M[start : start + chunk]
            logits_CV = logits_CV[: len(target_C)]
            torch.mm(x_CD, weight.T, out=logits_CV)
            loss_C, d_CV = of_logits(logits_CV, target_C, z_loss)
            total += loss_C.sum()
            torch.mm(d_CV, weight, out=grad_x_MD[start : start + chunk])
            grad_weight_VD += d_CV.T @ x_CD
        ctx.save_for_backward(grad_x_MD, grad_weight_VD)
        ctx.positions = positions
        return total / positions

    @staticmethod
    def backward(ctx, grad_output):
        grad_x_MD, grad_weight_VD = ctx.saved_tensors
        scale = grad_output / ctx.positions
        return grad_x_MD * scale.to(grad_x_MD.dtype), grad_weight_VD * scale, None, None, None, None


def loss_and_gradient_in_place(
    logits_CV: torch.Tensor, target_C: torch.Tensor, z_loss: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return -ln p[target], fp32 [C], and the gradient of its sum by the logits, which it overwrites. This form is for
    a CPU: torch's own softmax, and as few passes over the chunk as that allows."""
    p_CV = logits_CV.softmax(-1, torch.float32)
    loss_C = losses_of(logits_CV, p_CV, target_C)
    if z_loss:  # d ln(Z)^2 / d logits = 2 ln(Z) p, and ln(Z) = logit - ln p
        log_z_C1 = logits_CV.gather(1, target_C[:, None]) + loss_C[:, None]
        p_CV.mul_(1 + 2 * z_loss * log_z_C1)
    p_CV[torch.arange(len(target_C)), target_C] -= 1
    return loss_C, logits_CV.copy_(p_CV)


def loss_and_gradient(
    logits_CV: torch.Tensor, target_C: torch.Tensor, z_loss: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the same as loss_and_gradient_in_place, in the form for a GPU: nothing waits for the device or scatters,
    so a compiler makes two kernels of it, of which one reads the logits and the other turns them into the gradient."""
    x_CV = logits_CV.float()
    log_z_C = x_CV.logsumexp(-1)
    p_CV = (x_CV - log_z_C[:, None]).exp()
    if z_loss:
        p_CV = p_CV * (1 + 2 * z_loss * log_z_C)[:, None]
    is_target_CV = torch.arange(x_CV.shape[1], device=x_CV.device) == target_C[:, None]
    loss_C = log_z_C - x_CV.gather(1, target_C[:, None])[:, 0]
    return loss_C, (p_CV - is_target_CV.float()).to(logits_CV.dtype)


@functools.cache
def compiled_form() -> Callable:
    """Return loss_and_gradient compiled by torch.compile, once for each shape of a chunk."""
    return torch.compile(loss_and_gradient, dynamic=False)


def losses_of(logits_CV: torch.Tensor, p_CV: torch.Tensor, target_C: torch.Tensor) -> torch.Tensor:
    """Return -ln p[target], fp32 [C]; from the logits where p is too small for fp32. NaN stays NaN. For a CPU only:
    asking whether any is rare would wait for a GPU."""
    p_C = p_CV.gather(1, target_C[:, None])[:, 0]
    loss_C = -p_C.log()
    rare = p_C < TINY
    if rare.any():
        logits_RV = logits_CV[rare].float()
        loss_C[rare] = logits_RV.logsumexp(-1) - logits_RV.gather(1, target_C[rare, None])[:, 0]
    return loss_C


def chunk_for(x_MD: torch.Tensor) -> int:
    """Return the positions of a chunk on x's device."""
    return CHUNK if x_MD.is_cpu else CUDA_CHUNK
