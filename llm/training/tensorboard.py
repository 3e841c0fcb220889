"""Writes scalars to a TensorBoard event file with tensorboardX's writer, which starts no thread."""

import os
import time
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary


class EventFile:
    """An event file of this process in a directory; TensorBoard joins a directory's files in the order of their
    times."""

    def __init__(self, directory: Path) -> None:
        unique = f".{os.getpid()}.{time.time_ns()}"  # the writer's own names have seconds only and may collide
        self.writer = EventsWriter(str(directory / "events"), unique)
        self.writer.flush()

    def write(self, step: int, scalars: dict[str, float]) -> None:
        """Write tags (`train/loss`) with their values at a step; they are on disk after `flush`."""
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        self.writer.write_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def flush(self) -> None:
        self.writer.flush()
