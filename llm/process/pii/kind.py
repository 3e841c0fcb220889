"""A kind of personal data, and how a match of it is found at a place.

A match depends only on the CONTEXT characters before it and the REACH characters from its beginning, so it may be
looked for in a window of the text. Which kinds there are, llm/process/pii/patterns.py says.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

CONTEXT = 48
REACH = 128


def always(match: re.Match[str]) -> bool:
    return True


@dataclass(frozen=True)
class Kind:
    """`valid`: is a match of the pattern one of this kind? `shorter`: where it is not, may its beginning be one?"""

    name: str
    pattern: re.Pattern[str]
    valid: Callable[[re.Match[str]], bool]
    reach: int = REACH
    shorter: Callable[[re.Match[str]], bool] = always

    def match(self, text: str, position: int) -> re.Match[str] | None:
        """Return the valid match that begins here, if there is one.

        What the pattern reads may be too long, as other numbers stand behind: a card's code of three digits, another
        number of the row. So what ends at a blank within is tried, too, the longest first."""
        match = self.pattern.match(text, position)
        while match is not None and not (is_series(match) and match.endpos < len(text)):
            if self.valid(match):
                return match
            if not self.shorter(match):
                return None
            blank = text.rfind(" ", position, match.end())
            match = self.pattern.match(text, position, blank) if blank >= 0 else None
        return None


def is_series(match: re.Match[str]) -> bool:
    """May it be the beginning of a series of numbers, which is no phone? TRUNK looks for that behind the match, where a
    shortened text has its end."""
    trunk = match["trunk"] if "trunk" in match.re.groupindex else None
    return trunk is not None and trunk[0] != "("


def follows(cue: re.Pattern[str], match: re.Match[str]) -> bool:
    """Does a cue, a pattern that ends in $, stand before the match?"""
    return cue.search(match.string, max(0, match.start() - CONTEXT), match.start()) is not None


def cue(words: str, between: str) -> re.Pattern[str]:
    """Make the pattern of a cue: one of these words, then no more than `between`, then the match."""
    return re.compile(rf"(?ai)(?<![a-z])(?:{words}){between}$")
