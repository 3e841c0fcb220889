"""Runs a function on every rank of a process group: started here, or joined where torchrun or srun started the ranks.

Ranks that are started here are processes of this machine, or of all nodes of a Slurm job (llm/runtime/nodes.py), and
meet through a store in their parent. None outlives its parent or a failed sibling.
"""

import math
import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypeVar

import torch.distributed as dist

from llm.errors import InputError
from llm.runtime import slurm
from llm.runtime.group import (
    GRACE,
    LOOPBACK,
    Orders,
    Outcome,
    Place,
    explanation,
    open_store,
    orders_for,
    outcome_of,
    passing_on_sigterm,
    process_group,
)
from llm.runtime.nodes import start_on_nodes
from llm.runtime.process import die_with_parent

T = TypeVar("T")
TIMEOUT = 1800.0  # seconds that a collective may take


@dataclass(frozen=True)
class Member:
    """A started rank, as its parent sees it: it sends its outcome through the pipe, or dies."""

    process: BaseProcess
    pipe: Connection


def run_ranks(
    world_size: int,
    work: Callable[..., T],
    *arguments: object,
    timeout: float = TIMEOUT,
    nodes: int = 1,
    shared: Path | None = None,
) -> T:
    """Run `work(*arguments)` on every rank; return what rank 0 returned.

    With world_size 1 it is called here, without a process group. Under torchrun or srun this process is one of the
    ranks, and every rank gets the result. Otherwise `world_size` processes are started: here or, if they are for
    several `nodes` and this is a Slurm job, evenly on its nodes, which must be that many and all see the directory
    `shared`. `work`, arguments and result must pickle, so `work` is a module-level function, and a script needs
    `if __name__ == "__main__"`. Raises the exception of the rank that failed first, an InputError if it died without
    one.
    """
    place = place_in(dict(os.environ))
    if place is not None and place.world_size != world_size:
        raise InputError(
            f"pretrain.parallel asks for {world_size} ranks, but {place.world_size} were started; "
            "start as many, or change the layout"
        )
    if world_size == 1:
        return work(*arguments)
    job = slurm.job_id()
    if place is None and nodes > 1 and job is not None:
        return start_on_nodes(job, nodes, world_size, work, arguments, timeout, shared)
    if place is None:
        return start_ranks(world_size, work, arguments, timeout)
    with process_group(place, None, timeout):
        result = [work(*arguments)]
        dist.broadcast_object_list(result, 0)
    return result[0]


def place_in(environment: dict[str, str]) -> Place | None:
    """Return this process's place among ranks that torchrun, or srun with MASTER_ADDR, started; None if neither did.
    Under srun, MASTER_PORT is set to 29500 unless it is set."""
    if "RANK" in environment and "WORLD_SIZE" in environment:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    elif "SLURM_PROCID" in environment and "MASTER_ADDR" in environment:
        names = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")
        os.environ.setdefault("MASTER_PORT", "29500")
    else:
        return None
    return Place(*(int(environment.get(name, 0)) for name in names))


def start_ranks(world_size: int, work: Callable[..., T], arguments: tuple, timeout: float) -> T:
    """Start the ranks, wait, and return rank 0's result or raise the failure. All have ended when it returns."""
    store, address = open_store(LOOPBACK, timeout)
    orders = orders_for(address, world_size, timeout, (work, arguments))
    context = multiprocessing.get_context("spawn")
    members: list[Member] = []
    with passing_on_sigterm(partial(terminate, members)):
        try:
            for rank in range(world_size):
                here, there = context.Pipe(duplex=False)
                args = (Place(rank, world_size, rank), orders, os.getpid(), there)
                process = context.Process(target=be_rank, args=args, name=f"rank {rank}")
                process.start()
                there.close()
                members.append(Member(process, here))
            outcome = collect(members)
            for member in members:  # a rank needs time to end the processes that it started
                member.process.join(GRACE)
        finally:
            for member in members:
                member.process.kill()
                member.process.join()
                member.pipe.close()
    del store  # the ranks needed it until here
    return outcome.result


def terminate(members: list[Member]) -> None:
    for member in members:
        member.process.terminate()


def be_rank(place: Place, orders: Orders, parent: int, pipe: Connection) -> None:
    """Be a rank: join, work, send the outcome, exit."""
    die_with_parent()
    if os.getppid() != parent:  # the parent died before the kernel could be asked
        os._exit(1)
    outcome = outcome_of(place, orders)
    pipe.send_bytes(pickle.dumps(outcome))
    sys.exit(0 if outcome.failure is None else 1)


def collect(members: list[Member]) -> Outcome:
    """Wait until every rank has an outcome, or raise the failure that explains the others.

    An InputError is raised at once; any other failure after GRACE seconds, if no rank failed before it.
    """
    patience = None
    outcomes: dict[int, Outcome] = {}
    while waiting := [(rank, member) for rank, member in enumerate(members) if rank not in outcomes]:
        ready = wait([member.pipe for _, member in waiting], patience)
        outcomes |= {rank: received(member) for rank, member in waiting if member.pipe in ready}
        failures = [outcomes[rank] for rank in sorted(outcomes) if outcomes[rank].failure]
        if failures and (not ready or any(isinstance(outcome.failure, InputError) for outcome in failures)):
            break
        patience = GRACE if failures else None
    if failures:
        raise explanation(failures)
    return outcomes[0]


def received(member: Member) -> Outcome:
    """Return what a rank sent, or how it died."""
    try:
        return pickle.loads(member.pipe.recv_bytes())
    except EOFError:
        member.process.join()
        code = member.process.exitcode
        assert code is not None
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
        why = " (perhaps for want of memory)" if code == -signal.SIGKILL else ""
        return Outcome(None, InputError(f"{member.process.name} {how}{why}; run again"), math.inf)
