"""Runs an engine in a thread of its own, for callers on an event loop: they submit requests and wait for events.

All that touches the engine happens in that thread. Submissions and cancellations are taken between two steps; a
cancelled request frees its blocks there, in whatever state it is. Where a step fails, all requests are told, and all
that come after it.
"""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from llm.inference.engine import Engine, Event
from llm.inference.sequence import Output, Request

LOG = logging.getLogger("stemma.engine")


class EngineFailed(Exception):
    """A step of the engine failed; its model answers nothing any more."""


@dataclass(eq=False)
class Ticket:
    """A submitted request, number `index` of its call. To the call's queue go (index, events of a step), or (index, the
    EngineFailed that ended it). output: what it has got, once the engine has taken it. came, last: when the request
    did, and each completion's last token."""

    request: Request
    index: int
    told: asyncio.Queue
    loop: asyncio.AbstractEventLoop
    number: int | None = None
    output: Output | None = None
    came: float = field(default_factory=time.monotonic)
    last: dict[int, float] = field(default_factory=dict)

    def tell(self, item: "list[Event] | EngineFailed") -> None:
        """Hand an item to the event loop; one that is closed wants nothing any more."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.told.put_nowait, (self.index, item))


@dataclass
class Counts:
    """What has been since the start, for /metrics and the page."""

    prompt_tokens: int = 0
    new_tokens: int = 0
    finished: int = 0
    cancelled: int = 0
    steps: int = 0
    busy_seconds: float = 0.0


class Worker:
    """One engine's thread. on_first, on_next: told the seconds to a request's first token, and between two."""

    def __init__(
        self, engine: Engine, on_first: Callable[[float], None], on_next: Callable[[float], None], name: str = "engine"
    ) -> None:
        self.engine, self.on_first, self.on_next = engine, on_first, on_next
        self.inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.tickets: dict[int, Ticket] = {}
        self.counts = Counts()
        self.failed: EngineFailed | None = None
        self.thread = threading.Thread(target=self.work, name=name, daemon=True)
        self.thread.start()

    def submit(self, request: Request, index: int, told: asyncio.Queue) -> Ticket:
        """Let a request wait; call it on an event loop, after `check`."""
        ticket = Ticket(request, index, told, asyncio.get_running_loop())
        self.inbox.put(lambda: self.take(ticket))
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """End a request, whether it waits here, waits in the engine, runs, or has ended."""
        self.inbox.put(lambda: self.drop(ticket))

    def stop(self) -> None:
        """End the thread after the step it is at."""
        self.inbox.put(None)
        self.thread.join()

    def work(self) -> None:
        """Take what is in the inbox; where it is empty, make a step, or wait."""
        while True:
            try:
                call = self.inbox.get(block=self.failed is not None or not self.engine.has_work)
            except queue.Empty:
                self.step()
                continue
            if call is None:
                return
            call()

    def take(self, ticket: Ticket) -> None:
        if self.failed:
            ticket.tell(self.failed)
            return
        ticket.number = self.engine.add(ticket.request)
        ticket.output = self.engine.output(ticket.number)
        self.tickets[ticket.number] = ticket
        self.counts.prompt_tokens += len(ticket.request.prompt)

    def drop(self, ticket: Ticket) -> None:
        if ticket.number is not None and ticket.number in self.tickets:
            del self.tickets[ticket.number]
            self.engine.abort(ticket.number)
            self.counts.cancelled += 1

    def step(self) -> None:
        """Make a step, and tell each request what came."""
        begin = time.monotonic()
        try:
            events = self.engine.step()
        except Exception as error:  # whoever waits would wait for ever
            LOG.exception("a step of %s failed", self.thread.name)
            self.failed = EngineFailed(f"the engine has failed ({error}); start the server again")
            for ticket in self.tickets.values():
                ticket.tell(self.failed)
            self.tickets.clear()
            return
        now = time.monotonic()
        self.counts.steps += 1
        self.counts.busy_seconds += now - begin
        by_request: dict[int, list[Event]] = {}
        for event in events:
            by_request.setdefault(event.request, []).append(event)
        for number, some in by_request.items():
            ticket = self.tickets[number]
            self.clock(ticket, some, now)
            ticket.tell(some)
            if ticket.output is not None and ticket.output.finished:
                del self.tickets[number]
                self.counts.finished += 1

    def clock(self, ticket: Ticket, events: list[Event], now: float) -> None:
        """Note how long tokens took."""
        for event in events:
            if event.token < 0:
                continue
            self.counts.new_tokens += 1
            before = ticket.last.get(event.completion)
            if before is None:
                self.on_first(now - ticket.came)
            else:
                self.on_next(now - before)
            ticket.last[event.completion] = now
