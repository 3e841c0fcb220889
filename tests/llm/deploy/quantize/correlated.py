"""Inputs like a transformer's, for the tests of methods that look at them."""

import torch


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inputs(rows: int, width: int, seed: int = 1) -> torch.Tensor:
    """Inputs like a transformer's: correlated, some columns much larger than others."""
    mixing = torch.randn(width, width, generator=generator(seed)) / width**0.5 + torch.eye(width)
    size = torch.logspace(-1, 1, width)[torch.randperm(width, generator=generator(seed))]
    return torch.randn(rows, width, generator=generator(seed + 1)) @ mixing * size
