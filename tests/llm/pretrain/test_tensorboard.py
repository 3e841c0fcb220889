"""Event files by the formats' own check values and, where it is installed, by TensorBoard itself."""

import struct
from pathlib import Path

import pytest

from llm.pretrain.tensorboard import EventFile, crc32c, record, varint

STEPS = {1: {"train/loss": 8.25, "train/lr": 0.001}, 300: {"train/loss": -1.5}, 2**40: {"validation/ä": float("inf")}}


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"", 0), (b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43)],
)
def test_crc32c(data: bytes, expected: int) -> None:
    """Check values of RFC 3720, B.4, and of the CRC catalogue."""
    assert crc32c(data) == expected


@pytest.mark.parametrize(("value", "expected"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\1"), (300, b"\xac\2")])
def test_varint(value: int, expected: bytes) -> None:
    assert varint(value) == expected


def test_record_holds_length_and_data() -> None:
    framed = record(b"data")
    assert len(framed) == 8 + 4 + 4 + 4
    assert struct.unpack("<Q", framed[:8]) == (4,)
    assert framed[12:16] == b"data"


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
