"""Carries out one call: submits its requests, follows their events, and ends them when the client goes away, the
deadline passes or the server stops."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request as HttpRequest

from llm.deploy.serve.models import Served
from llm.deploy.serve.responses import Choice, chat_logprobs, legacy_logprobs, usage
from llm.deploy.serve.text_stream import TextStream
from llm.deploy.serve.worker import EngineFailed, Ticket
from llm.inference.sequence import Output, Request


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


@dataclass
class Call:
    """One HTTP call for text; its requests differ in their prompts alone. chat: which shape its answer has. seconds:
    until it is given up."""

    served: Served
    requests: list[Request]
    chat: bool
    echo: bool
    seconds: float

    def __post_init__(self) -> None:
        self.queue: asyncio.Queue = asyncio.Queue()
        decode = self.served.tokenizer.decode
        stops = self.requests[0].stop_texts
        self.choices = [Choice(TextStream(decode, stops)) for request in self.requests for _ in range(request.n)]
        self.tickets: list[Ticket] = []
        self.head = {
            "id": f"{'chatcmpl' if self.chat else 'cmpl'}-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": self.served.name,
        }

    @property
    def told(self) -> bool:
        """Were log-probabilities asked for?"""
        return self.requests[0].logprobs is not None

    def cancel(self) -> None:
        """End what still runs of it."""
        for ticket in self.tickets:
            self.served.worker.cancel(ticket)

    async def events(self) -> AsyncIterator[tuple[int, str]]:
        """Submit the requests; yield (choice, text that it got) until all choices have ended. Raises TimeoutError at
        the deadline."""
        worker = self.served.worker
        self.tickets = [worker.submit(request, index, self.queue) for index, request in enumerate(self.requests)]
        async with asyncio.timeout(self.seconds):
            while any(choice.reason is None for choice in self.choices):
                index, told = await self.queue.get()
                if isinstance(told, EngineFailed):
                    raise told
                for event in told:
                    place = index * self.requests[0].n + event.completion
                    yield place, self.choices[place].add(event)

    @property
    def outputs(self) -> list[Output]:
        return [ticket.output for ticket in self.tickets if ticket.output is not None]

    async def whole(self, http: HttpRequest) -> dict[str, Any]:
        """Return the answer in one piece. Raises ClientGone where the client hangs up."""
        working = asyncio.create_task(self.finish())
        leaving = asyncio.create_task(gone(http))
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise ClientGone
            await working
        finally:
            for task in (working, leaving):
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task
        if self.echo:
            for place in range(len(self.choices)):
                self.prepend_prompt(place, "")
        kind = "chat.completion" if self.chat else "text_completion"
        shown = [self.shown(place, choice.text, 0, whole=True) for place, choice in enumerate(self.choices)]
        return self.head | {"object": kind, "choices": shown, "usage": usage(self.outputs, self.choices)}

    async def finish(self) -> None:
        async for _ in self.events():
            pass

    async def streamed(self, with_usage: bool) -> AsyncGenerator[str]:
        """Yield the answer as server-sent events."""
        kind = "chat.completion.chunk" if self.chat else "text_completion"
        nothing = {"usage": None} if with_usage else {}

        def chunk(choices: list[dict]) -> str:
            return f"data: {json.dumps(self.head | {'object': kind, 'choices': choices} | nothing)}\n\n"

        told = [0] * len(self.choices)
        try:
            if self.chat:
                for place in range(len(self.choices)):
                    delta = {"role": "assistant", "content": ""}
                    yield chunk([{"index": place, "delta": delta, "logprobs": None, "finish_reason": None}])
            async for place, text in self.events():
                if self.echo and told[place] == 0:
                    text = self.prepend_prompt(place, text)
                yield chunk([self.shown(place, text, told[place], whole=False)])
                told[place] = len(self.choices[place].tokens)
            if with_usage:
                last = self.head | {"object": kind, "choices": [], "usage": usage(self.outputs, self.choices)}
                yield f"data: {json.dumps(last)}\n\n"
            yield "data: [DONE]\n\n"
        except TimeoutError:
            said = {"message": f"not finished within {self.seconds:g} seconds", "type": "timeout", "code": 504}
            yield f"data: {json.dumps({'error': said})}\n\n"
        except EngineFailed as error:
            yield f"data: {json.dumps({'error': {'message': str(error), 'type': 'server_error', 'code': 503}})}\n\n"

    def prepend_prompt(self, place: int, text: str) -> str:
        """Put a choice's prompt before its tokens; return its text with what has come of the completion."""
        index = place // self.requests[0].n
        return self.choices[place].prepend(self.requests[index], self.outputs[index], self.served) + text

    def shown(self, place: int, text: str, since: int, *, whole: bool) -> dict[str, Any]:
        """Return a choice, or what a chunk adds to it."""
        choice = self.choices[place]
        logprobs = None
        if self.told:
            logprobs = (chat_logprobs if self.chat else legacy_logprobs)(choice, self.served, since)
        common = {"index": place, "logprobs": logprobs, "finish_reason": choice.reason}
        if not self.chat:
            return common | {"text": text}
        if whole:
            return common | {"message": {"role": "assistant", "content": text, "refusal": None}}
        return common | {"delta": {"content": text} if text else {}}


async def gone(http: HttpRequest) -> None:
    """Return when the client has hung up."""
    while (await http.receive())["type"] != "http.disconnect":
        pass
