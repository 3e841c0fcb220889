"""Turns tokens into text as they come: what is streamed adds up to the text of all of them."""

from collections.abc import Callable, Sequence

UNKNOWN = "\ufffd"  # what bytes decode to that make no character, or none yet
INCOMPLETE = 3  # bytes that a character may want one more of
LONGEST_RUN = 64  # tokens; of a longer run of such bytes the rest may be told otherwise than at once


class Detokenizer:
    """Decodes a few tokens back, so that a token's text may depend on the one before it (a space, half a character)."""

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        self.decode = decode
        self.ids: list[int] = []
        self.told = self.before = 0  # ids whose text was given out; and where the run begins that is decoded again
        self.given = 0  # characters of that run

    def add(self, token: int) -> str:
        """Return the text that is certain with a token: without the last bytes, where they may be half a character."""
        self.ids.append(token)
        text = self.decode(self.ids[self.before :])
        unknown = len(text) - len(text.rstrip(UNKNOWN))
        if unknown == 0 or len(self.ids) - self.told >= LONGEST_RUN:
            return self.give(text)
        certain = len(text) - min(unknown, INCOMPLETE)
        new, self.given = text[self.given : certain], max(self.given, certain)
        return new

    def rest(self) -> str:
        """Return what is left at the end."""
        return self.give(self.decode(self.ids[self.before :]))

    def give(self, text: str) -> str:
        new = text[self.given :]
        if new:
            self.before = self.told
        self.told = len(self.ids)
        self.given = len(self.decode(self.ids[self.before :]))
        return new


class StopTexts:
    """Sees whether one of `texts` has been said."""

    def __init__(self, decode: Callable[[list[int]], str], texts: Sequence[str]) -> None:
        self.detokenizer, self.texts = Detokenizer(decode), tuple(texts)
        self.said = ""

    def add(self, token: int) -> bool:
        """Take a token. Returns whether the text now holds one of the texts."""
        new = self.detokenizer.add(token)
        self.said = self.said[-max(map(len, self.texts)) :] + new
        return any(text in self.said for text in self.texts)
