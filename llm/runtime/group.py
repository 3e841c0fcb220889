"""A rank's life, however it was started: its place, how it joins the others, what it reports at its end."""

import contextlib
import math
import os
import pickle
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from llm.errors import InputError

LOOPBACK = "127.0.0.1"
CONNECT = 120.0  # seconds for a rank to reach the store, which exists before the rank does
GRACE = 2.0  # seconds in which other ranks of a failed group may still report that the fault was theirs
ENDED = "ranks that ended"


@dataclass(frozen=True)
class Place:
    """A process's place in its group; `local` is its number among the ranks of its machine, and that of its GPU."""

    rank: int
    world_size: int
    local: int


@dataclass(frozen=True)
class Outcome:
    """What became of a rank: its result or failure. `at`: its position in the order in which the group's ranks ended,
    counted in the store, so that no clock is needed."""

    result: Any
    failure: Exception | None
    at: float


@dataclass(frozen=True)
class Orders:
    """What every rank is given. address: of the store. threads: torch's, in each rank. timeout: seconds that a
    collective may take. task: the pickled function and its arguments."""

    address: tuple[str, int]
    threads: int
    timeout: float
    task: bytes


def open_store(host: str, timeout: float) -> tuple[dist.Store, tuple[str, int]]:
    """Open a store in this process that listens on `host` alone (torch would listen on every interface); return it and
    its address."""
    listener = socket.create_server((host, 0))
    port = listener.getsockname()[1]
    store = dist.TCPStore(
        host, port, None, True, timedelta(seconds=timeout), wait_for_workers=False, master_listen_fd=listener.detach()
    )
    return store, (host, port)


def orders_for(address: tuple[str, int], world_size: int, timeout: float, work: tuple) -> Orders:
    """Make the ranks' orders. work: a module-level function and its arguments. The ranks share this process's
    threads."""
    return Orders(address, max(1, torch.get_num_threads() // world_size), timeout, pickle.dumps(work))


def outcome_of(place: Place, orders: Orders) -> Outcome:
    """Do a rank's work: join the group, call the function. A failure is returned, not raised."""
    torch.set_num_threads(orders.threads)
    try:
        store = reach(place, orders)
    except InputError as error:
        return Outcome(None, error, math.inf)
    result: object = None
    failure: Exception | None = None
    try:
        work, arguments = pickle.loads(orders.task)
        with process_group(place, store, orders.timeout):
            result = work(*arguments)
    except (InputError, OSError) as error:  # llm/command.py reports these
        failure = error
    except Exception as error:
        traceback.print_exc()
        failure = RuntimeError(f"rank {place.rank}: {type(error).__name__}: {error}")
    return Outcome(result if place.rank == 0 else None, failure, store.add(ENDED, 1))


def reach(place: Place, orders: Orders) -> dist.Store:
    """Connect to the parent's store. Raises InputError if it cannot be reached."""
    host, port = orders.address
    if host.startswith("127.") and sys.platform == "linux":
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"  # otherwise gloo resolves the host's name, which may fail
    try:
        store = dist.TCPStore(host, port, None, False, timedelta(seconds=CONNECT))
    except dist.DistNetworkError as error:
        raise InputError(f"rank {place.rank} does not reach {host}:{port}, where the ranks meet: {error}") from None
    store.set_timeout(timedelta(seconds=orders.timeout))
    return store


@contextlib.contextmanager
def process_group(place: Place, store: dist.Store | None, timeout: float) -> Iterator[None]:
    """Join the default process group: gloo for CPU tensors, NCCL for GPU tensors. Without a store, ranks meet at
    MASTER_ADDR:MASTER_PORT."""
    backend = "gloo"
    if torch.cuda.is_available():
        if place.local >= torch.cuda.device_count():
            raise InputError(
                f"rank {place.rank} has no GPU: this machine has {torch.cuda.device_count()}, and each of its ranks "
                "needs its own; lower parallel.data, or lay presets/gpu.yaml, for one GPU, over the config"
            )
        torch.cuda.set_device(place.local)
        backend = "cpu:gloo,cuda:nccl"
    where = {"init_method": "env://"} if store is None else {"store": store}
    dist.init_process_group(
        backend, rank=place.rank, world_size=place.world_size, timeout=timedelta(seconds=timeout), **where
    )
    yield
    dist.destroy_process_group()  # after a failure the process ends with it: waiting for siblings could hang


def explanation(failures: list[Outcome]) -> Exception:
    """Return the failure that explains the others: a rank whose sibling fails sees only a broken connection. So an
    InputError is preferred, then the first failure."""
    failure = min(failures, key=lambda outcome: (not isinstance(outcome.failure, InputError), outcome.at)).failure
    assert failure is not None
    return failure


@contextlib.contextmanager
def passing_on_sigterm(ask_to_stop: Callable[[], object]) -> Iterator[None]:
    """While the context lasts, forward SIGTERM to the ranks, which may save and end, instead of ending this process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: ask_to_stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
