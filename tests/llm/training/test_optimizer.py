"""An update's operations are those whose bits do not depend on who made the processor."""

from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from llm.align.settings.adapter import Schedule
from llm.align.train_adapter import optimizer_of
from llm.training.engine import Piece
from llm.training.muon import Muon
from llm.training.optimizer import Optimizer
from llm.training.settings import OptimizerSettings

BY_VENDOR = ("sqrt", "acos", "asin", "tan")  # MKL's begin with the processor's own approximation of 1/x or 1/sqrt(x)


class Called(TorchDispatchMode):
    """Names of all operations, as torch's own dispatcher has them."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, operation, types, arguments=(), keywords=None):
        self.names.add(operation._schema.name.removeprefix("aten::").removeprefix("_foreach_").rstrip("_"))
        return operation(*arguments, **keywords or {})


SCHEDULE = Schedule(steps=2, batch_size=1, learning_rate=0.1, warmup_steps=0)


@pytest.mark.parametrize("settings", [OptimizerSettings(), optimizer_of(SCHEDULE)], ids=["pretraining", "adapters"])
def test_no_operation_is_the_vendor_s(settings: OptimizerSettings) -> None:
    """An adapter trained by AdamW without fusion had other bits on an AMD than on an Intel, in the class `portable`."""
    weights = [Piece(f"model.layers.0.{index}", shape, (0,) * len(shape), torch.ones(shape)) for index, shape in
               enumerate([(8, 4), (4,)])]  # fmt: skip
    optimizer = Optimizer(weights, settings, partial(Muon, dtype=torch.float32))
    with Called() as called:
        for piece in weights:
            piece.tensor.grad = torch.full(piece.shape, 0.3)
        optimizer.step(1.0, float(optimizer.norm()))
    assert "linalg_vector_norm" in called.names
    assert not called.names & set(BY_VENDOR)


def test_a_root_of_mkl_s_is_seen() -> None:
    with Called() as called:
        torch.ones(3).sqrt_()
        torch._foreach_sqrt([torch.ones(3)])
    assert called.names & set(BY_VENDOR) == {"sqrt"}
