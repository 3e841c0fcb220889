"""H = X^T X of calibration inputs X: what an error of the weights does to a layer's outputs.

Legend: N outputs, K inputs.
"""

import torch


def product_error(change_NK: torch.Tensor, h_KK: torch.Tensor) -> float:
    """Return tr(dW H dW^T), the square error of the products with calibration inputs."""
    return float(((change_NK @ h_KK) * change_NK).sum(dtype=torch.float64))


def shrunk(h_KK: torch.Tensor, shrinkage: float) -> torch.Tensor:
    """Return H with its off-diagonal made less by this part (Ledoit and Wolf 2004, toward the diagonal).

    A few thousand tokens of some domains tell each input's size well and the inputs' correlations badly: what is made
    up for by correlations that other text does not have is an error there."""
    less_KK = h_KK * (1 - shrinkage)
    less_KK.diagonal().copy_(h_KK.diagonal())
    return less_KK
