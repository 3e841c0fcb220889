"""What a rank is, wherever it was started: its place, how it meets the others, what becomes of it."""

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

import torch
import torch.distributed as dist

from llm.errors import InputError

LOOPBACK = "127.0.0.1"
CONNECT = 120.0  # seconds in which a rank has to reach the store, which is there before the rank is
GRACE = 2.0  # seconds in which the others of a failed group may still say that the fault was theirs
ENDED = "ranks that ended"


@dataclass(frozen=True)
class Place:
    """Where a process stands in its group; `local` counts the ranks of one machine: the number of its GPU."""

    rank: int
    world_size: int
    local: int


@dataclass(frozen=True)
class Outcome:
    """What became of a rank. `at`: the how many-eth of its group to end, counted in the store, which needs no clock."""

    result: object
    failure: Exception | None
    at: float


@dataclass(frozen=True)
class Orders:
    """What every rank is told. address: of the store. threads: torch's, in each rank. timeout: seconds that a
    collective may take. task: the pickled function and its arguments."""

    address: tuple[str, int]
    threads: int
    timeout: float
    task: bytes


def open_store(host: str, timeout: float) -> tuple[dist.Store, tuple[str, int]]:
    """A store in this process and its address: it listens there alone, torch would by itself on every interface."""
    listener = socket.create_server((host, 0))
    port = listener.getsockname()[1]
    store = dist.TCPStore(
        host, port, None, True, timedelta(seconds=timeout), wait_for_workers=False, master_listen_fd=listener.detach()
    )
    return store, (host, port)


def orders_for(address: tuple[str, int], world_size: int, timeout: float, work: tuple) -> Orders:
    """work: a function of a module and its arguments. The ranks share the threads that this process has."""
    return Orders(address, max(1, torch.get_num_threads() // world_size), timeout, pickle.dumps(work))


def outcome_of(place: Place, orders: Orders) -> Outcome:
    """A rank's work: join, call the function. A failure is told, not raised."""
    torch.set_num_threads(orders.threads)
    try:
        store = reach(place, orders)
    except InputError as error:
        return Outcome(None, error, math.inf)
    result, failure = None, None
    try:
        work, arguments = pickle.loads(orders.task)
        with process_group(place, store, orders.timeout):
            result = work(*arguments)
    except (InputError, OSError) as error:  # llm/command.py knows what to say of these
        failure = error
    except Exception as error:
        traceback.print_exc()
        failure = RuntimeError(f"rank {place.rank}: {type(error).__name__}: {error}")
    return Outcome(result if place.rank == 0 else None, failure, store.add(ENDED, 1))


def reach(place: Place, orders: Orders) -> dist.Store:
    """The parent's store. InputError if it cannot be reached."""
    host, port = orders.address
    if host.startswith("127.") and sys.platform == "linux":
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"  # gloo would ask how the host's name resolves, and may not find it
    try:
        store = dist.TCPStore(host, port, None, False, timedelta(seconds=CONNECT))
    except dist.DistNetworkError as error:
        raise InputError(f"rank {place.rank} does not reach {host}:{port}, where the ranks meet: {error}") from None
    store.set_timeout(timedelta(seconds=orders.timeout))
    return store


@contextlib.contextmanager
def process_group(place: Place, store: dist.Store | None, timeout: float) -> Iterator[None]:
    """The default group: gloo for tensors of the CPU, NCCL for those of a GPU. Without a store, ranks meet at
    MASTER_ADDR:MASTER_PORT."""
    backend = "gloo"
    if torch.cuda.is_available():
        if place.local >= torch.cuda.device_count():
            raise InputError(
                f"rank {place.rank} has no GPU: this machine has {torch.cuda.device_count()}; start fewer ranks on it"
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
    """The failure that explains the others': a rank whose sibling fails sees only a broken connection. So an
    InputError is believed first, then whoever failed first."""
    return min(failures, key=lambda outcome: (not isinstance(outcome.failure, InputError), outcome.at)).failure


@contextlib.contextmanager
def passing_on_sigterm(ask_to_stop: Callable[[], object]) -> Iterator[None]:
    """While it lasts SIGTERM reaches the ranks, which may save and end in peace, and not this process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: ask_to_stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
