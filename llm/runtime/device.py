"""Chooses where a process computes: on its GPU if it has one, else on the CPU."""

import torch


def default_device() -> torch.device:
    """Return this process's GPU (torch's current one, which ranks set), or the CPU if there is none."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")
