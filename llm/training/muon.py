"""Muon (Jordan 2024): an optimizer that orthogonalises the momentum's matrix before it moves the weights.

Where products run in bf16 it is torch.optim.Muon bit for bit. Where they run in fp32, Newton-Schulz does too: in bf16
it amplifies a difference in a gradient's last bit to 1e-3 of the update, and no two layouts would give one curve.
Matrices of one shape are orthogonalised together.
"""

import math

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Jordan's: steep at zero; singular values end between 0.7 and 1.2
EPS = 1e-7
BATCH = 2**27  # elements that are orthogonalised together: about four times their memory is in use meanwhile


class Muon(torch.optim.Muon):
    """torch.optim.Muon with the same arguments and state. dtype: of Newton-Schulz's products."""

    def __init__(self, params: list[torch.Tensor], *arguments, dtype: torch.dtype, **options) -> None:
        super().__init__(params, *arguments, **options)
        self.dtype = dtype
        self.shapes = {weight: (weight.shape[0], weight.shape[1]) for weight in params}

    @torch.no_grad()
    def step(self, closure=None):
        """One update. closure: None, or what computes the loss again first, as torch's optimizers take it."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = group["params"]
            for weight in weights:
                if "momentum_buffer" not in self.state[weight]:
                    self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
            momenta = [self.state[weight]["momentum_buffer"] for weight in weights]
            gradients = [weight.grad for weight in weights]
            torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
            updates = [update.to(self.dtype) for update in torch._foreach_lerp(gradients, momenta, group["momentum"])]
            updates = self.orthogonal(weights, updates, group["ns_steps"])
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
            for weight, update in zip(weights, updates, strict=True):
                rows, columns = self.shapes[weight]
                weight.add_(update, alpha=-group["lr"] * math.sqrt(max(1, rows / columns)))
        return loss

    def orthogonal(self, weights: list[torch.Tensor], updates: list[torch.Tensor], steps: int) -> list[torch.Tensor]:
        """Return the updates of these weights, orthogonalised."""
        return orthogonalised(updates, steps)


def orthogonalised(matrices: list[torch.Tensor], steps: int) -> list[torch.Tensor]:
    """Apply newton_schulz to each matrix. Those of one shape go together, in fewer and larger products; on a CPU in
    fp32 each goes alone, since a batched product rounds differently there."""
    waiting: dict[tuple[int, ...], list[int]] = {}
    batches = []
    for index, matrix in enumerate(matrices):
        batch = waiting.setdefault(tuple(matrix.shape), [])
        batch.append(index)
        alone = matrix.is_cpu and matrix.dtype == torch.float32
        if alone or len(batch) * matrix.numel() >= BATCH:
            batches.append(waiting.pop(tuple(matrix.shape)))
    result = list(matrices)
    for batch in (*batches, *waiting.values()):
        for index, matrix in zip(batch, newton_schulz([matrices[index] for index in batch], steps), strict=True):
            result[index] = matrix
    return result


def newton_schulz(matrices: list[torch.Tensor], steps: int) -> list[torch.Tensor]:
    """Return for matrices [m, n] of one shape about the nearest semi-orthogonal matrix of each: its singular vectors,
    with singular values near 1."""
    a, b, c = COEFFICIENTS
    norms_N = torch.stack(torch._foreach_norm(matrices)).clamp(min=EPS)
    tall = matrices[0].shape[0] > matrices[0].shape[1]
    x = torch.stack(matrices)
    x = (x.mT if tall else x) / norms_N[:, None, None]
    alone = len(matrices) == 1  # a batch of one may round differently from a matrix
    x, product = (x[0], torch.addmm) if alone else (x, torch.baddbmm)
    for _ in range(steps):
        gram = x @ x.mT
        x = product(x, product(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    x = x.mT if tall else x
    return [x] if alone else list(x)
