"""Muon (Jordan 2024): momentum whose matrix is orthogonalised before it moves the weights.

torch.optim.Muon bit for bit where products run in bf16. Where they run in fp32, Newton-Schulz does too: in bf16 it
blows a difference in a gradient's last bit up to 1e-3 of the update, and no two layouts would give one curve.
"""

import math

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Jordan's: steep at zero, near 1 they wander between 0.7 and 1.2
EPS = 1e-7


class Muon(torch.optim.Muon):
    """torch.optim.Muon with the same arguments and state. dtype: of Newton-Schulz's products."""

    def __init__(self, params: list[torch.Tensor], *arguments, dtype: torch.dtype, **options) -> None:
        super().__init__(params, *arguments, **options)
        self.dtype = dtype
        self.shapes = {weight: tuple(weight.shape) for weight in params}

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            updates = []
            for weight in group["params"]:
                if "momentum_buffer" not in self.state[weight]:
                    self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
                momentum = self.state[weight]["momentum_buffer"]
                momentum.lerp_(weight.grad, 1 - group["momentum"])
                updates.append(weight.grad.lerp(momentum, group["momentum"]).to(self.dtype))
            updates = self.orthogonal(group["params"], updates, group["ns_steps"])
            for weight, update in zip(group["params"], updates, strict=True):
                rows, columns = self.shapes[weight]
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update, alpha=-group["lr"] * math.sqrt(max(1, rows / columns)))

    def orthogonal(self, weights: list[torch.Tensor], updates: list[torch.Tensor], steps: int) -> list[torch.Tensor]:
        """The updates of these weights, orthogonalised."""
        return [newton_schulz(update, steps) for update in updates]


def newton_schulz(matrix: torch.Tensor, steps: int) -> torch.Tensor:
    """[m, n] -> about the nearest semi-orthogonal matrix: its singular vectors, singular values near 1."""
    a, b, c = COEFFICIENTS
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / x.norm().clamp(min=EPS)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if matrix.shape[0] > matrix.shape[1] else x
