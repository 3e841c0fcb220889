"""Scalars as a TensorBoard event file, without the tensorboard package: an event is a few bytes of protobuf in a
TFRecord. Writes `simple_value` scalars, which every version of TensorBoard reads; no histograms, images or graphs.

The formats: tensorflow/core/util/event.proto, framework/summary.proto, and lib/io/record_writer.h (a record is its
length, the masked CRC-32C of the length, the bytes, their masked CRC-32C).
"""

import os
import struct
import time
from pathlib import Path

POLYNOMIAL = 0x82F63B78  # CRC-32C (Castagnoli), reflected


class EventFile:
    """One file per process in a directory; TensorBoard joins those of a directory in the order of their times."""

    def __init__(self, directory: Path) -> None:
        self.file = (directory / f"events.out.tfevents.{time.time():.6f}.{os.getpid()}").open("wb")
        self.file.write(record(event(time.time(), 0, string_field(3, b"brain.Event:2"))))
        self.file.flush()

    def write(self, step: int, scalars: dict[str, float]) -> None:
        """Tags (`train/loss`) and their values at a step; on disk after `flush`."""
        values = b"".join(
            string_field(1, string_field(1, tag.encode()) + float_field(2, value)) for tag, value in scalars.items()
        )
        self.file.write(record(event(time.time(), step, string_field(5, values))))

    def flush(self) -> None:
        self.file.flush()


def event(wall_time: float, step: int, what: bytes) -> bytes:
    """Event: wall_time = 1 (double), step = 2 (int64), then file_version = 3 or summary = 5."""
    return b"\x09" + struct.pack("<d", wall_time) + b"\x10" + varint(step) + what


def string_field(number: int, value: bytes) -> bytes:
    """A field of wire type 2: bytes, text or a message."""
    return bytes([number << 3 | 2]) + varint(len(value)) + value


def float_field(number: int, value: float) -> bytes:
    return bytes([number << 3 | 5]) + struct.pack("<f", value)


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + masked_crc(length) + data + masked_crc(data)


def masked_crc(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def table_entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (POLYNOMIAL if byte & 1 else 0)
    return byte


TABLE = tuple(map(table_entry, range(256)))
