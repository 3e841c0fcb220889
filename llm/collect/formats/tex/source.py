"""A piece of TeX source with a reading position, and where its braces and environments end.

Every look ahead is remembered, so that a text of n characters costs O(n) whatever is opened in it and never closed.
"""

import re
from collections.abc import Callable, Container


def piece_with(special: str, letters: str = "A-Za-z") -> re.Pattern[str]:
    """Return the pattern of running text up to the next thing that means something, and that. `special`: one more
    character that does."""
    special = re.escape(special)
    return re.compile(
        rf"([^\\{{}}%$&{special}]*+)(?:\\([{letters}]++)(?:[ \t]++|\ud807)?+|([{{}}%$&{special}])|\\(.?)|\Z)", re.DOTALL
    )


PIECE = piece_with("")
PIECE_OF_STYLE = piece_with("", "A-Za-z@")  # in style files @ is a letter

# Where % is a character and no comment: an address, within its line. What it holds is group `address`.
ADDRESS = r"\\(?:url|nolinkurl|path|href|lstinline)[ \t]*+\{(?P<address>[^{}\n%]*+%[^{}\n]*+)\}"
NO_ADDRESS = ADDRESS.replace("?P<address>", "?:").removeprefix(r"\\")

# `{` to its `}`, and `[` to the first `]` within the same braces, as TeX pairs them
_BRACKET = re.compile(
    rf"(?:[^\\{{}}\[\]%]++|\\(?!verb|begin\{{(?:[vBL]?[vV]erbatim|lstlisting|minted|comment)\*?\}}|{NO_ADDRESS}).)*+"
    rf"(?:([{{}}\[\]])|%[^\n]*+|\\verb\*?+([^A-Za-z\s*])|\\begin\{{([A-Za-z]+\*?)\}}|{ADDRESS}|\\|\Z)",
    re.DOTALL,
)
_SPACE = r"(?:[ \t]++|%[^\n]*+\n|\n(?![ \t]*+\n))*+"  # blanks, comments and a line's end, but no empty line
_BRACE = re.compile(_SPACE + r"\{")
_SQUARE = re.compile(r"[ \t]*+(?:\n[ \t]*+)?+\[")
_TOKEN = re.compile(_SPACE + r"\\(?:[A-Za-z@]+|.)", re.DOTALL)
_CHARACTER = re.compile(_SPACE + r"([^\s{}\\])")
_PARENTHESES = re.compile(r"[ \t]*\([^()\n]{0,40}\)")
_STAR = re.compile(r"[ \t]*\*")
_LENGTH = re.compile(
    r"[ \t]*+=?[ \t]*+[-+]?[ \t]*+(?:[\d.]++[ \t]*+(?:true[ \t]*+)?(?:(?:pt|em|ex|cm|mm|in|bp|pc|sp|mu|fil+)(?![a-z])"
    r"|\\[A-Za-z@]++)?|\\[A-Za-z@]++)?(?:[ \t]*+(?:plus|minus)[ \t]*+(?:[-+]?[\d.]++[a-z]{0,4}|\\[A-Za-z@]++))*+"
)
_SIZE = r"[ \t]*+(?:[-+]?[\d.]++[ \t]*+(?:true[ \t]*+)?(?:[a-z]{2}(?![a-z])|\\[A-Za-z@]++)|\\[A-Za-z@]++)"
_RULE = re.compile(rf"(?:[ \t]*+(?:width|height|depth){_SIZE})*+")
_TO = re.compile(rf"[ \t]*+(?:to|spread){_SIZE}")
_REGISTER = re.compile(r"[ \t]*+(?:\\[A-Za-z@]++\d{0,5}+|\d{1,5}+)[ \t]*+=?+")
_BY = re.compile(rf"[ \t]*+(?:by(?![a-z]))?+(?:{_LENGTH.pattern})")

BEFORE_BRACE, BEFORE_SQUARE = frozenset("{ \t\n%"), frozenset("[ \t\n")  # what an argument's first character may be
LONGEST_VERB = 200
_KINDS = {"s": _STAR, "p": _PARENTHESES, "d": _LENGTH, "r": _RULE, "t": _TO, "x": _REGISTER, "b": _BY}


def closings(text: str) -> dict[int, int]:
    """Return the position of every `{` and `[` that is closed -> position of what closes it. Escaped ones, comments and
    verbatim text do not count."""
    closing: dict[int, int] = {}
    opened: list[int] = []
    endless: set[str] = set()
    position, size = 0, len(text)
    scan = _BRACKET.match
    while position < size:
        match = scan(text, position)
        assert match is not None  # it matches anything
        position = match.end()
        char = match[1]
        if char == "{" or char == "[":
            opened.append(position - 1)
        elif char == "}":
            while opened:
                begin = opened.pop()
                if text[begin] == "{":
                    closing[begin] = position - 1
                    break
        elif char == "]":
            while opened and text[opened[-1]] == "[":
                closing[opened.pop()] = position - 1
        elif match[2]:
            end = text.find(match[2], position, position + LONGEST_VERB)
            position = end + 1 if end >= 0 and "\n" not in text[position:end] else position
        elif match["address"] is not None:
            closing[match.start("address") - 1] = match.end("address")
        elif match[3] and match[3] not in endless:
            end = text.find(f"\\end{{{match[3]}}}", position)
            position = end if end >= 0 else position
            endless.update([match[3]] if end < 0 else [])
    return closing


class Source:
    """`text` read from `position` on, in pieces (see `piece_with`). What it finds ahead it remembers."""

    __slots__ = ("text", "position", "piece", "_closing", "_ahead", "_branches")

    def __init__(self, text: str, piece: re.Pattern[str] = PIECE) -> None:
        self.text, self.position, self.piece = text, 0, piece.match
        self._closing: dict[int, int] | None = None
        self._branches: dict[int, tuple[int, int]] | None = None
        self._ahead: dict[object, tuple[int, int, int]] = {}

    def closing(self, begin: int) -> int | None:
        """Return where what opens at `begin` closes, or None if it never does."""
        if self._closing is None:
            self._closing = closings(self.text)
        return self._closing.get(begin)

    def branches(self, find: Callable[..., dict], known: Container[str]) -> dict[int, tuple[int, int]]:
        if self._branches is None:
            self._branches = find(self.text, known)
        return self._branches

    def ahead(self, pattern: re.Pattern[str]) -> tuple[int, int] | None:
        """Return begin and end of the pattern's next match from the position on."""
        known = self._ahead.get(pattern)
        if known is None or not known[0] <= self.position <= known[1]:
            match = pattern.search(self.text, self.position)
            begin, end = match.span() if match else (len(self.text) + 1, -1)
            known = self._ahead[pattern] = (self.position, begin, end)
        return known[1:] if known[2] >= 0 else None

    def group(self) -> tuple[int, int] | None:
        """Return the span within the braces that come next, or None if none come or they never close."""
        return self._span(_BRACE) if self.text[self.position : self.position + 1] in BEFORE_BRACE else None

    def option(self) -> tuple[int, int] | None:
        """Return the span within the square brackets that come next."""
        return self._span(_SQUARE) if self.text[self.position : self.position + 1] in BEFORE_SQUARE else None

    def _span(self, pattern: re.Pattern[str]) -> tuple[int, int] | None:
        match = pattern.match(self.text, self.position)
        if match is None:
            return None
        end = self.closing(match.end() - 1)
        return None if end is None else (match.end(), end)

    def read_group(self) -> str | None:
        """Return what is in the braces that come next, and go past it; None without them."""
        span = self.group()
        if span is None:
            return None
        self.position = span[1] + 1
        return self.text[span[0] : span[1]]

    def read_option(self) -> str | None:
        span = self.option()
        if span is None:
            return None
        self.position = span[1] + 1
        return self.text[span[0] : span[1]]

    def read_token(self) -> str | None:
        """Return an argument: what is in the braces that come next, else one command."""
        found = self.read_group()
        if found is None and (match := _TOKEN.match(self.text, self.position)):
            self.position = match.end()
            found = match[0].lstrip()
        return found

    def read_argument(self) -> str:
        """Return a macro's argument: braces, a command, or one character; '' at an empty line."""
        found = self.read_token()
        if found is None and (match := _CHARACTER.match(self.text, self.position)):
            self.position = match.end()
            found = match[1]
        return found or ""

    def read_until(self, delimiter: str) -> str:
        """Return an argument that text ends, within the next 2,000 characters; '' if it does not."""
        end = self.text.find(delimiter, self.position, self.position + 2000)
        if end < 0:
            return ""
        begin, self.position = self.position, end + len(delimiter)
        return self.text[begin:end].strip()

    def skip(self, arguments: str) -> None:
        """Read past arguments: s a star, o [..], p (..), m braces or a command, d a length without braces, r the
        sizes of a rule, t `to` and a length, x a register, b `by` and a length."""
        for kind in arguments:
            if kind == "o":
                self.read_option()
            elif kind == "m":
                if self.read_token() is None:
                    return
            else:
                match = _KINDS[kind].match(self.text, self.position)
                self.position = match.end() if match else self.position
