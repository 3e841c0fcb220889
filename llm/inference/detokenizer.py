"""Turns tokens into text as they come: what is streamed adds up to the text of all of them."""

from collections.abc import Callable, Sequence

LONGEST_CHARACTER = 8  # tokens: UTF-8 has at most 4 bytes, a token of its own each


class Detokenizer:
    """Decodes a few tokens back, so that a token's text may depend on the one before it (a space, half a character)."""

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        self.decode = decode
        self.ids: list[int] = []
        self.told = self.before = 0  # ids whose text was given out; and where the run begins that is decoded again

    def add(self, token: int) -> str:
        """Return the text that a token completes: nothing yet where a character is incomplete."""
        self.ids.append(token)
        text = self.decode(self.ids[self.before :])
        if text.endswith("\ufffd") and len(self.ids) - self.told < LONGEST_CHARACTER:
            return ""
        return self.give(text)

    def rest(self) -> str:
        """Return what is left at the end."""
        return self.give(self.decode(self.ids[self.before :]))

    def give(self, text: str) -> str:
        new = text[len(self.decode(self.ids[self.before : self.told])) :]
        if text or self.told == 0:
            self.before = self.told if new else self.before
        self.told = len(self.ids)
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
