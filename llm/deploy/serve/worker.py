"""Runs an engine in a thread of its own, for callers on an event loop: they submit requests and wait for events.

All that touches the engine happens in that thread. Submissions and cancellations are taken between two steps; a
cancelled request frees its blocks there, in whatever state it is, and events of one that is gone go nowhere.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from llm.errors import InputError
from llm.inference.engine import Engine, Event
from llm.inference.sequence import Output, Request


@dataclass(eq=False)
class Ticket:
    """A submitted request, number `index` of its call. To the call's queue go (index, events of a step), or (index, an
    exception that ended it). output: what it has got, once the engine has taken it."""

    request: Request
    index: int
    told: asyncio.Queue
    loop: asyncio.AbstractEventLoop
    number: int | None = None
    output: Output | None = None
    came: float = field(default_factory=time.monotonic)

    def tell(self, item: list[Event] | Exception) -> None:
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
        self.last_token: dict[tuple[int, int], float] = {}
        self.counts = Counts()
        self.failed: Exception | None = None
        self.thread = threading.Thread(target=self.work, name=name, daemon=True)
        self.thread.start()

    def submit(self, request: Request, index: int, told: asyncio.Queue) -> Ticket:
        """Let a request wait; call it on an event loop, after `check`."""
        if self.failed:
            raise RuntimeError(f"the engine has failed: {self.failed}")
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
        """Take what is in the inbox, make a step, again; wait where there is nothing to do."""
        while True:
            waits = not self.engine.has_work
            try:
                while (call := self.inbox.get(block=waits)) is not None:
                    waits = False
                    call()
                return
            except queue.Empty:
                if self.engine.has_work:
                    self.step()

    def take(self, ticket: Ticket) -> None:
        try:
            ticket.number = self.engine.add(ticket.request)
        except InputError as error:
            ticket.tell(error)
            return
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
        except Exception as error:  # every request would wait for ever: they are told, and the next find it out
            self.failed = error
            for ticket in self.tickets.values():
                ticket.tell(error)
                self.engine.abort(ticket.number or 0)
            self.tickets.clear()
            raise
        now = time.monotonic()
        self.counts.steps += 1
        self.counts.busy_seconds += now - begin
        by_request: dict[int, list[Event]] = {}
        for event in events:
            by_request.setdefault(event.request, []).append(event)
            self.clock(event, now)
        for number, some in by_request.items():
            if number not in self.tickets:
                continue
            told = self.tickets[number]
            told.tell(some)
            if told.output is not None and told.output.finished:
                del self.tickets[number]
                self.counts.finished += 1

    def clock(self, event: Event, now: float) -> None:
        """Note how long a token took."""
        key = (event.request, event.completion)
        before = self.last_token.pop(key, None)
        ticket = self.tickets.get(event.request)
        if event.token >= 0:
            self.counts.new_tokens += 1
            if before is not None:
                self.on_next(now - before)
            elif ticket is not None:
                self.on_first(now - ticket.came)
        if not event.finished:
            self.last_token[key] = now
