"""Event files as TensorBoard itself reads them."""

from pathlib import Path

import pytest

from llm.training.tensorboard import EventFile

STEPS = {1: {"train/loss": 8.25, "train/lr": 0.001}, 300: {"train/loss": -1.5}, 2**40: {"validation/ä": float("inf")}}


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    file = EventFile(tmp_path)
    for step, scalars in STEPS.items():
        file.write(step, scalars)
    file.flush()
    reader = accumulator.EventAccumulator(str(tmp_path))
    reader.Reload()
    found: dict[int, dict[str, float]] = {}
    for tag in reader.Tags()["tensors"] + reader.Tags()["scalars"]:
        for event in reader.Tensors(tag) if tag in reader.Tags()["tensors"] else reader.Scalars(tag):
            value = event.tensor_proto.float_val[0] if hasattr(event, "tensor_proto") else event.value
            found.setdefault(event.step, {})[tag] = pytest.approx(value)
    assert found == STEPS
