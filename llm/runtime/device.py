"""Where a process computes: on its GPU if it has one, else on the CPU. Chooses no dtype and moves nothing."""

import torch


def default_device() -> torch.device:
    """This process's GPU (torch's current one, which ranks set), or the CPU where none is seen."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")
