"""Turns a completion's tokens into the text that a client may see: as they come, without a stop text or its beginning,
so that what is streamed adds up to what is answered whole."""

from collections.abc import Callable, Sequence

from llm.inference.detokenizer import Detokenizer


class TextStream:
    """`stops`: texts that end the completion and are not shown."""

    def __init__(self, decode: Callable[[list[int]], str], stops: Sequence[str]) -> None:
        self.detokenizer, self.stops = Detokenizer(decode), tuple(stops)
        self.held = ""
        self.stopped = False

    def add(self, token: int, *, last: bool) -> str:
        """Take a token; return the text that is certain now."""
        if self.stopped:
            return ""
        self.held += self.detokenizer.add(token)
        if last:
            self.held += self.detokenizer.rest()
        found = [place for stop in self.stops if (place := self.held.find(stop)) >= 0]
        if found:
            self.stopped = True
            return self.held[: min(found)]
        certain = len(self.held) if last else len(self.held) - self.begun()
        told, self.held = self.held[:certain], self.held[certain:]
        return told

    def begun(self) -> int:
        """Return how many of the last characters could be the beginning of a stop text."""
        longest = max(map(len, self.stops), default=1) - 1
        sizes = range(min(longest, len(self.held)), 0, -1)
        return next((size for size in sizes if any(stop.startswith(self.held[-size:]) for stop in self.stops)), 0)
