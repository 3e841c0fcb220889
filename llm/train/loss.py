"""Output layer and cross-entropy as one operation that never holds all logits, with the gradient in the forward.

Legend: M positions (batch times tokens), C positions of a chunk, D d_model, V vocabulary.
The idea is Liger's and Apple's Cut Cross-Entropy's (Wijmans et al. 2024): since the loss is the last thing computed,
its gradient is known in the forward pass up to the factor that arrives in backward. On two CPU cores the logits of a
chunk stay in the cache: softmax over 4,096 x 4,096 takes 5 ms in chunks, 23 ms at once.
"""

import torch

CHUNK = 256


def cross_entropy(x_MD: torch.Tensor, weight_VD: torch.Tensor, target_M: torch.Tensor) -> torch.Tensor:
    """Mean of -ln softmax(x W^T)[target] over M positions, in nats: fp32 scalar, differentiable in x and weight.

    Products run in x's dtype, softmax and sums in fp32. A loss above 87 nats at one position is reported as 87.
    """
    return LinearCrossEntropy.apply(x_MD, weight_VD, target_M)


def token_losses(x_MD: torch.Tensor, weight_VD: torch.Tensor, target_M: torch.Tensor) -> torch.Tensor:
    """-ln p(target) of every position: fp32 [M]. No gradient."""
    weight = weight_VD.to(x_MD.dtype)
    losses = []
    with torch.no_grad():
        for x, target in zip(x_MD.split(CHUNK), target_M.split(CHUNK), strict=True):
            losses.append(-probability_of(target, (x @ weight.T).softmax(-1, dtype=torch.float32)).log())
    return torch.cat(losses)


class LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x_MD, weight_VD, target_M):
        weight = weight_VD.detach().to(x_MD.dtype)
        grad_x_MD = torch.empty_like(x_MD)
        grad_weight_VD = torch.zeros_like(weight_VD)
        total = torch.zeros((), dtype=torch.float32, device=x_MD.device)
        # The same memory for every chunk: what has just been read stays in the cache.
        logits_CV = x_MD.new_empty(min(CHUNK, len(target_M)), len(weight))
        p_CV = torch.empty_like(logits_CV, dtype=torch.float32)
        for start in range(0, len(target_M), CHUNK):
            x_CD, target_C = x_MD[start : start + CHUNK], target_M[start : start + CHUNK]
            logits_CV, p_CV = logits_CV[: len(target_C)], p_CV[: len(target_C)]
            torch.mm(x_CD, weight.T, out=logits_CV)
            torch.softmax(logits_CV, -1, torch.float32, out=p_CV)
            total -= probability_of(target_C, p_CV).log().sum()
            p_CV[torch.arange(len(target_C), device=p_CV.device), target_C] -= 1  # d loss / d logits
            d_CV = logits_CV.copy_(p_CV)
            torch.mm(d_CV, weight, out=grad_x_MD[start : start + CHUNK])
            grad_weight_VD += d_CV.T @ x_CD
        ctx.save_for_backward(grad_x_MD, grad_weight_VD)
        return total / len(target_M)

    @staticmethod
    def backward(ctx, grad_output):
        grad_x_MD, grad_weight_VD = ctx.saved_tensors
        scale = grad_output / len(grad_x_MD)
        return grad_x_MD * scale.to(grad_x_MD.dtype), grad_weight_VD * scale, None


def probability_of(target_C: torch.Tensor, p_CV: torch.Tensor) -> torch.Tensor:
    """p[target], kept above the smallest normal fp32 so that its logarithm is finite; NaN stays NaN."""
    return p_CV.gather(1, target_C[:, None])[:, 0].clamp_min(torch.finfo(torch.float32).tiny)
