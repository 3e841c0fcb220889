"""Runs a function on every rank of a process group: started here, or joined where torchrun or srun started the ranks.

Started here, ranks are processes of this machine that meet through a store in their parent, on loopback. None outlives
its parent or a failed sibling. Knows nothing of layouts or models.
"""

import contextlib
import ctypes
import math
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import torch
import torch.distributed as dist

from llm.errors import InputError

LOOPBACK = "127.0.0.1"
TIMEOUT = 1800.0  # seconds that a collective may take
GRACE = 2.0  # seconds in which the others of a failed group may still say that the fault was theirs
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Place:
    """Where a process stands in its group; `local` counts the ranks of one machine: the number of its GPU."""

    rank: int
    world_size: int
    local: int


@dataclass(frozen=True)
class Outcome:
    """What became of a rank. `at`: seconds on the machine's monotonic clock, one for all its processes."""

    result: object
    failure: Exception | None
    at: float


@dataclass
class Member:
    """A started rank, as its parent sees it. It has no outcome until it has sent one or died."""

    process: BaseProcess
    pipe: Connection
    outcome: Outcome | None = None


def run_ranks(world_size: int, work: Callable, *arguments: object, timeout: float = TIMEOUT) -> object:
    """`work(*arguments)` on every rank -> what rank 0 returned.

    world_size 1 calls it here, without a process group. Under torchrun or srun this process is one of the ranks and
    every rank gets the result. Else `world_size` processes start; `work`, arguments and result must pickle, so `work`
    is a function of a module, and a script needs `if __name__ == "__main__"`. Raises the exception of the rank that
    failed first, an InputError if it died without a word.
    """
    place = place_in(dict(os.environ))
    if place is not None and place.world_size != world_size:
        raise InputError(
            f"pretrain.parallel asks for {world_size} ranks, but {place.world_size} were started; "
            "start as many, or change the layout"
        )
    if world_size == 1:
        return work(*arguments)
    if place is None:
        return start_ranks(world_size, work, arguments, timeout)
    with process_group(place, None, timeout):
        result = [work(*arguments)]
        dist.broadcast_object_list(result, 0)
    return result[0]


def place_in(environment: dict[str, str]) -> Place | None:
    """This process's place among ranks that torchrun, or srun with MASTER_ADDR, started; None: nobody did. Under srun
    it sets MASTER_PORT to 29500 unless it is set."""
    if "RANK" in environment and "WORLD_SIZE" in environment:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    elif "SLURM_PROCID" in environment and "MASTER_ADDR" in environment:
        names = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")
        os.environ.setdefault("MASTER_PORT", "29500")
    else:
        return None
    return Place(*(int(environment.get(name, 0)) for name in names))


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


def start_ranks(world_size: int, work: Callable, arguments: tuple, timeout: float) -> object:
    """Starts the ranks, waits, and gives rank 0's result or raises the failure. All have ended when it returns."""
    store = dist.TCPStore(LOOPBACK, 0, None, True, timedelta(seconds=timeout), wait_for_workers=False)
    threads = max(1, torch.get_num_threads() // world_size)
    task = pickle.dumps((work, arguments))  # multiprocessing's own pickling would share tensors' memory, not copy it
    context = multiprocessing.get_context("spawn")
    members: list[Member] = []
    with passing_on_sigterm(members):
        try:
            for rank in range(world_size):
                here, there = context.Pipe(duplex=False)
                place = Place(rank, world_size, rank)
                args = (place, store.port, os.getpid(), threads, timeout, there, task)
                process = context.Process(target=be_rank, args=args, name=f"rank {rank}")
                process.start()
                there.close()
                members.append(Member(process, here))
            collect(members)
            for member in members:  # a rank ends the processes that it started itself, if it gets the time
                member.process.join(GRACE)
        finally:
            for member in members:
                member.process.kill()
                member.process.join()
                member.pipe.close()
    return members[0].outcome.result


def be_rank(place: Place, port: int, parent: int, threads: int, timeout: float, pipe: Connection, task: bytes) -> None:
    """A rank's whole life: join, work, send the outcome. task: the pickled function and its arguments."""
    die_with(parent)
    if sys.platform == "linux":
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"  # gloo would ask how the host's name resolves, and may not find it
    torch.set_num_threads(threads)
    try:
        work, arguments = pickle.loads(task)
        store = dist.TCPStore(LOOPBACK, port, None, False, timedelta(seconds=timeout))
        with process_group(place, store, timeout):
            result = work(*arguments)
        send(pipe, Outcome(result if place.rank == 0 else None, None, time.monotonic()))
    except (InputError, OSError) as error:  # llm/command.py knows what to say of these
        send(pipe, Outcome(None, error, time.monotonic()))
        sys.exit(2)
    except Exception as error:
        said = RuntimeError(f"rank {place.rank}: {type(error).__name__}: {error}")
        send(pipe, Outcome(None, said, time.monotonic()))
        traceback.print_exc()
        sys.exit(1)


def send(pipe: Connection, outcome: Outcome) -> None:
    pipe.send_bytes(pickle.dumps(outcome))


def die_with(parent: int) -> None:
    """Asks the kernel for SIGKILL when the parent dies (Linux; elsewhere a rank ends with its next collective)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before it could be asked for
        os._exit(1)


def collect(members: list[Member]) -> None:
    """Waits until every rank has an outcome, or raises the failure that explains the others'.

    A rank whose sibling fails sees only a broken connection. So an InputError is believed at once, and any other
    failure when GRACE has passed and nobody failed before it.
    """
    patience = None
    while waiting := {member.pipe: member for member in members if member.outcome is None}:
        ready = wait(list(waiting), patience)
        for pipe in ready:
            waiting[pipe].outcome = received(waiting[pipe])
        failures = [member.outcome for member in members if member.outcome and member.outcome.failure]
        if failures and (not ready or any(isinstance(outcome.failure, InputError) for outcome in failures)):
            break
        patience = GRACE if failures else None
    failures.sort(key=lambda outcome: (not isinstance(outcome.failure, InputError), outcome.at))
    if failures:
        raise failures[0].failure


def received(member: Member) -> Outcome:
    """What a rank sent, or how it died."""
    try:
        return pickle.loads(member.pipe.recv_bytes())
    except EOFError:
        member.process.join()
        code = member.process.exitcode
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
        why = " (perhaps for want of memory)" if code == -signal.SIGKILL else ""
        return Outcome(None, InputError(f"{member.process.name} {how}{why}; run again"), math.inf)


@contextlib.contextmanager
def passing_on_sigterm(members: list[Member]) -> Iterator[None]:
    """While it lasts SIGTERM reaches the ranks, which may save and end in peace, and not this process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: [member.process.terminate() for member in members])
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
