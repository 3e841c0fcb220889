"""Saves recovery points inside a segment, in scratch: written while training goes on, verified before use.

    point-<serial>/   a checkpoint (llm/training/checkpoint.py) with a manifest.json; its state.json also has the
                      guard's state and the history

A point is copied into memory, written by a thread of each rank into a hidden directory, and renamed when it is whole.
The last two are kept, and those that they may roll back to. A point that cannot be written costs a warning, never the
run.
"""

import os
import shutil
import socket
import sys
import threading
from pathlib import Path

from llm.errors import InputError
from llm.runtime.agreement import Ranks
from llm.runtime.lease import Lease
from llm.training.checkpoint import (
    MANIFEST,
    STATE_KEYS,
    Snapshot,
    fault_of,
    manifest_of,
    read_state,
    save_checkpoint,
    written,
)

KEPT = 2
POINT_KEYS = (*STATE_KEYS, "identity", "guard", "history")


class Recovery:
    """The recovery points of one segment; all ranks have one. Rank 0 holds the lease on `directory`."""

    def __init__(self, directory: Path, name: str, ranks: Ranks) -> None:
        self.directory, self.ranks = directory, ranks
        self.writers = Ranks(ranks.rank, ranks.world_size)
        self.lease: Lease | None = None
        self.thread: threading.Thread | None = None
        self.kept: int | None = None  # step of the last point that rank 0 wrote
        refused = None
        if ranks.rank == 0:
            try:
                self.lease = Lease(directory, name)
                for path in directory.glob(".point-*"):  # left by a job that was killed
                    shutil.rmtree(path)
            except InputError as error:
                refused = error
        others = ranks.gather(None if refused is None else str(refused))  # the others wait here for the lease
        if others[0] is not None:
            raise refused or InputError(others[0])
        self.serial = max((serial for serial, _ in self.points()), default=0)

    def points(self) -> list[tuple[int, Path]]:
        """Return the complete points as (serial, path), the newest first."""
        found = [(int(path.name.removeprefix("point-")), path) for path in self.directory.glob("point-*")]
        return sorted(found, reverse=True)

    def find(self, step: int | None = None) -> Path | None:
        """Return the newest point, or the newest of this step, that all ranks find undamaged. A damaged one is removed
        with a warning."""
        for path in self.ranks.gather([path for _, path in self.points()])[0]:
            if step is not None and step_of(path) != step:
                continue
            fault = next(filter(None, self.ranks.gather(self.fault(path))), None)
            if fault is None:
                return path
            self.warn(f"{fault}; this recovery point is not used, an older one or the segment's start is")
            self.ranks.gather(None)  # all have looked at it
            if self.ranks.rank == 0:
                shutil.rmtree(path)
        return None

    def fault(self, path: Path) -> str | None:
        try:
            fault = None if (path / MANIFEST).is_file() else f"{path / MANIFEST} is missing"
            fault = fault or fault_of(path, self.ranks)
            read_state(path, POINT_KEYS)
        except (InputError, OSError, KeyError, TypeError) as error:
            return str(error)
        return fault

    def save(self, snapshot: Snapshot, state: dict) -> None:
        """Copy the snapshot, and write it while training goes on; wait if the last point is still being written."""
        self.wait()
        self.serial += 1
        self.thread = threading.Thread(target=self.write, args=(self.serial, snapshot.copy(), state))
        self.thread.start()

    def wait(self) -> None:
        """Wait until a point in progress is written or given up. Raises InputError if another job has taken this run
        over."""
        if self.thread is not None:
            self.thread.join()
        self.check()

    def check(self) -> None:
        if self.lease is not None and self.lease.lost:
            self.lease.check()

    def write(self, serial: int, snapshot: Snapshot, state: dict) -> None:
        owner = self.writers.gather(f"{socket.gethostname()}-{os.getpid()}")[0]
        hidden = self.directory / f".point-{serial:06}-{owner}"
        try:
            fault = self.made(hidden)
            if any(self.writers.gather(fault is not None)):
                raise fault or InputError(f"{hidden} cannot be made")
            save_checkpoint(hidden, snapshot, state, self.writers)
            manifest = manifest_of(hidden, self.writers)
            if self.ranks.rank == 0:
                fault = written(hidden / MANIFEST, manifest)
                if fault is not None:
                    raise fault
                assert self.lease is not None
                self.lease.check()
                hidden.rename(self.directory / f"point-{serial:06}")
                self.kept = state["step"]
                self.prune()
        except (OSError, InputError) as error:
            self.warn(f"no recovery point of step {state['step']} could be kept ({error}); training goes on")
            if self.ranks.rank == 0:
                shutil.rmtree(hidden, ignore_errors=True)

    def made(self, hidden: Path) -> OSError | None:
        try:
            if self.ranks.rank == 0:
                hidden.mkdir()
        except OSError as error:
            return error
        return None

    def prune(self) -> None:
        """Remove the points that neither of the last ones would roll back to."""
        latest = self.points()[:KEPT]
        needed: set[int] = set()
        for _, path in latest:
            guard = read_state(path)["guard"]
            needed |= {point[0] for point in (guard["golden"], guard["pending"]) if point is not None}
        needed -= {step_of(path) for _, path in latest}
        for _, path in self.points()[KEPT:]:
            step = step_of(path)
            if step in needed:
                needed.discard(step)  # of one step only the newest is needed
            else:
                shutil.rmtree(path)

    def warn(self, line: str) -> None:
        if self.ranks.rank == 0:
            print(f"warning: {line}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Give the lease up, after a point in progress is finished."""
        if self.thread is not None:
            self.thread.join()
        if self.lease is not None:
            self.lease.release()


def step_of(path: Path) -> int | None:
    """Return the step of a recovery point; None if it is damaged."""
    try:
        return read_state(path)["step"]
    except InputError:
        return None
