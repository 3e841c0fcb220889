"""Inputs like a transformer's, for the tests of methods that look at them."""

import torch

from llm.deploy.quantize.gptq import Correction, correction
from llm.deploy.quantize.hessian import Hessian


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inputs(rows: int, width: int, seed: int = 1) -> torch.Tensor:
    """Inputs like a transformer's: correlated, some columns much larger than others."""
    mixing = torch.randn(width, width, generator=generator(seed)) / width**0.5 + torch.eye(width)
    size = torch.logspace(-1, 1, width)[torch.randperm(width, generator=generator(seed))]
    return torch.randn(rows, width, generator=generator(seed + 1)) @ mixing * size


def corrected(h_KK: torch.Tensor, **options: float) -> Correction:
    """What H says, with the largest inputs first; H stays as it is."""
    order_K = torch.argsort(h_KK.diagonal(), descending=True, stable=True).flip(0)
    turned_KK = h_KK[order_K][:, order_K].clone()
    return correction(Hessian(turned_KK, order_K, turned_KK.diagonal().clone()), **options)
