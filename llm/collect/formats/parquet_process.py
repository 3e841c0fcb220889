"""Reads parquet files in a process of their own, because a damaged one may kill whoever reads it.

A damaged page header makes polars panic, or ask for so much memory that the process is aborted. `Reader` keeps one such
process for many files, starts another one after a death, and takes of a file all or nothing, so what is kept of it does
not depend on how far the threads of polars came. The process may have MEMORY bytes more than it begins with: what a
damaged size asks for is refused before it is there.
"""

import contextlib
import errno
import io
import json
import os
import resource
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import polars as pl

from llm.collect.decompress import LIMITS, Limits, check_total
from llm.errors import InputError
from llm.runtime.process import die_with_parent

BATCH = 4096  # rows
ROW = 64  # bytes that a row counts for beside its texts
MEMORY = 8 << 30  # bytes of address space, of which threads and arenas take some without using it
PROGRAM = ("-m", __name__)
FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
LENGTH = struct.Struct("<q")


def serve() -> None:
    """Answer questions within the process. For each line {"file", "into", "columns"} write the rows of that file's
    columns, those of `columns` that it has, and answer with a line {"there": all columns} or {"error": one line}."""
    limit = address_space() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for line in sys.stdin:
        task = json.loads(line)
        try:
            answer: dict[str, object] = {"there": copy_rows(**task)}
        except (pl.exceptions.PolarsError, InputError) as error:
            answer = {"error": (str(error).splitlines() or [type(error).__name__])[0]}
        except OSError as error:
            answer = {"full" if error.errno == errno.ENOSPC else "error": str(error)}
        print(json.dumps(answer), flush=True)


def address_space() -> int:
    """Return that of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def copy_rows(file: str, into: str, columns: list[str], limits: list[int]) -> list[str]:
    """Write batches of rows, each an Arrow stream after its length, and return the names of all of the file's columns.
    The first of `columns` must be among them, or nothing is written. Raises InputError for a bomb: `limits` are the
    fields of Limits."""
    table = pl.scan_parquet(file, glob=False)
    there = table.collect_schema().names()
    if columns[0] not in there:
        return there
    size, total = Path(file).stat().st_size, 0
    with Path(into).open("wb") as batches:
        kept = table.select([name for name in columns if name in there])
        for batch in kept.collect_batches(chunk_size=BATCH, maintain_order=True):
            total += ROW * batch.height + text_bytes(batch)
            check_total(total, size, "it", Limits(*limits))
            data = io.BytesIO()
            batch.write_ipc_stream(data)
            batches.write(LENGTH.pack(data.tell()))
            batches.write(data.getbuffer())
    return there


def text_bytes(batch: pl.DataFrame) -> int:
    """Return the size of all texts, those that share their bytes too."""
    sizes = batch.select(pl.col(pl.String).str.len_bytes().cast(pl.Int64).sum())
    return sum(sizes.row(0)) if sizes.width else 0


class BrokenFileError(InputError):
    """Raised for a file that cannot be read."""


class Reader(contextlib.AbstractContextManager):
    """A reader of parquet files in another process. Leaving the context ends it."""

    def __init__(self) -> None:
        self.process: subprocess.Popen | None = None

    def copy(self, file: Path, into: Path, columns: list[str], limits: Limits = LIMITS) -> list[str]:
        """Have the rows of a file's columns written to `into` for `batches`; return the names of all of its columns.
        `into` stays empty if the first of `columns` is not among them. Raises BrokenFileError if the file cannot be
        read."""
        self.process = self.process or started()
        task = {"file": str(file), "into": str(into), "columns": columns, "limits": list(astuple(limits))}
        asked, answered = self.process.stdin, self.process.stdout
        assert asked and answered  # both are pipes
        asked.write(json.dumps(task) + "\n")
        asked.flush()
        line = answered.readline()
        if not line:
            with self.process as process:
                ended = process.wait()
            self.process = None
            if -ended in FROM_OUTSIDE:
                raise InputError(
                    f"who read parquet was ended by signal {-ended}, for want of memory perhaps; run again"
                )
            raise BrokenFileError("reading it kills the reader")
        answer = json.loads(line)
        if "full" in answer:  # no fault of the file's
            raise OSError(errno.ENOSPC, answer["full"], str(into))
        if "error" in answer:
            raise BrokenFileError(answer["error"].replace(str(file), "it"))
        return answer["there"]

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            with self.process as process:
                process.kill()
            self.process = None


def started() -> subprocess.Popen:
    """What polars says on its way to a panic goes nowhere."""
    return subprocess.Popen(
        [sys.executable, "-P", *PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},  # as multiprocessing does it
        preexec_fn=die_with_parent,
    )


def batches(file: Path) -> Iterator[pl.DataFrame]:
    """Yield what `copy_rows` wrote, one batch at a time in memory."""
    with file.open("rb") as data:
        while length := data.read(LENGTH.size):
            yield pl.read_ipc_stream(io.BytesIO(data.read(LENGTH.unpack(length)[0])))


if __name__ == "__main__":
    serve()
