"""A fixture of rooms whose tests compute with toy models."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Toy matrices gain nothing from threads, and lose much when other processes hold the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
