"""Spans of personal data in text, by pattern and check digit. Says where they are; what happens to them is `clean`'s.

Kinds: email, ipv4, ipv6, credit_card, ssn, phone. Names are not found here. IP addresses only where they are public
(as FineWeb does: 127.0.0.1 tells nothing of anybody) and no section numbers. Cards need an issuer's prefix and Luhn's
check digit (ISO/IEC 7812-1), US social security numbers an area, group and serial that are given out. Phones need a
form that is hardly anything else: (415) 555-2671, 415-555-2671, 415.555.2671, +1 415 555 2671, +44 20 7946 0958.
"""

import ipaddress
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl


class Span(NamedTuple):
    """`text[start:end]` is of this kind. Characters, not bytes."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True)
class Kind:
    """may: a cheap pattern that every text with a hit contains (linear, no look-around: polars runs it too)."""

    name: str
    may: str
    pattern: re.Pattern[str]
    valid: Callable[[re.Match[str]], bool]


def spans(text: str, kinds: list[str] | None = None) -> list[Span]:
    """All spans in text order, none overlapping: where two would, the kind that stands first in KINDS wins.

    kinds: names to look for; default all.
    """
    found: list[Span] = []
    for kind in KINDS:
        if kinds is None or kind.name in kinds:
            starts, ends = [span.start for span in found], [span.end for span in found]
            # found is sorted and without overlap: the spans that end after `new` starts begin where ends says
            free = [new for new in matches(kind, text) if bisect_right(ends, new.start) == bisect_left(starts, new.end)]
            found = sorted([*found, *free], key=lambda span: span.start)
    return found


def spans_of(texts: pl.Series) -> list[list[Span]]:
    """`spans` of each text. Looks closely only at texts, and for kinds, that polars finds to be possible."""
    possible = [texts.str.contains(kind.may).to_list() for kind in KINDS]
    result = []
    for text, flags in zip(texts.to_list(), zip(*possible, strict=True), strict=True):
        kinds = [kind.name for kind, flag in zip(KINDS, flags, strict=True) if flag]
        result.append(spans(text, kinds) if kinds else [])
    return result


def span_lists(found: list[list[Span]]) -> pl.Series:
    """`spans_of`'s result as one column, List(Struct(kind, start, end)): made of flat columns, for speed."""
    flat = pl.DataFrame(
        [(row, *span) for row, own in enumerate(found) for span in own],
        schema={"row": pl.UInt32, "kind": pl.String, "start": pl.UInt32, "end": pl.UInt32},
        orient="row",
    )
    lists = flat.group_by("row", maintain_order=True).agg(pii=pl.struct("kind", "start", "end"))
    rows = pl.DataFrame({"row": range(len(found))}, schema={"row": pl.UInt32})
    return rows.join(lists, on="row", how="left", maintain_order="left")["pii"].fill_null([])


def matches(kind: Kind, text: str) -> Iterator[Span]:
    for match in kind.pattern.finditer(text):
        if kind.valid(match):
            yield Span(kind.name, match.start(), match.end())


def redact(text: str, found: list[Span]) -> str:
    """`text` with each span replaced by its kind in angle brackets, e.g. `<email>`; nothing else changes."""
    pieces = []
    position = 0
    for span in found:
        pieces += [text[position : span.start], f"<{span.kind}>"]
        position = span.end
    return "".join([*pieces, text[position:]])


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    doubled = [int(digit) * (1 + i % 2) for i, digit in enumerate(reversed(digits))]
    return sum(n - 9 if n > 9 else n for n in doubled) % 10 == 0


def is_card(match: re.Match[str]) -> bool:
    digits = re.sub("[ -]", "", match[0])
    return CARD_ISSUER.fullmatch(digits) is not None and len(set(digits)) > 1 and luhn(digits)


def is_public_ip(match: re.Match[str]) -> bool:
    try:
        return ipaddress.ip_address(match[0]).is_global
    except ValueError:
        return False


def is_public_ipv4(match: re.Match[str]) -> bool:
    """Four small numbers number a section or a version (26.6.2.2) unless what stands before them speaks of hosts."""
    before = match.string[max(0, match.start() - 24) : match.start()]
    small = all(int(number) < SMALL for number in match[0].split("."))
    return is_public_ip(match) and (not small or OF_HOSTS.search(before) is not None)


def is_personal_email(match: re.Match[str]) -> bool:
    return not match[0].startswith("git@")  # a repository's address


def always(match: re.Match[str]) -> bool:
    return True


SMALL = 40  # of all public addresses 1 in 1,700 has four numbers below this
OF_HOSTS = re.compile(r"(?i)(?:\b(?:ip|ipv4|addr|address|host|server|dns|ping|telnet|ssh)\b[^\n]{0,8}|//|@)$")


CARD_ISSUER = re.compile(
    r"4[0-9]{12}(?:[0-9]{3}){0,2}"  # Visa: 13, 16 or 19
    r"|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}"  # Mastercard
    r"|3[47][0-9]{13}"  # American Express
    r"|6(?:011|5[0-9]{2}|4[4-9][0-9])[0-9]{12}"  # Discover
    r"|3(?:0[0-5]|[68][0-9])[0-9]{11}"  # Diners Club
    r"|35[0-9]{14}"  # JCB
)

KINDS = (
    Kind(
        "email",
        "@",
        re.compile(
            r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9_%+-](?:[A-Za-z0-9._%+-]{0,62}[A-Za-z0-9_%+-])?"
            r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9-])"
        ),
        is_personal_email,
    ),
    Kind(
        "ipv6",
        "[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]*:",
        # global unicast is 2000::/3 (RFC 4291); `[1::2]` in code is none
        re.compile(r"(?<![0-9A-Za-z:.])[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{1,33}[0-9A-Fa-f:](?![0-9A-Za-z:]|\.[0-9])"),
        is_public_ip,
    ),
    Kind(
        "ipv4",
        r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]",
        re.compile(r"(?<![0-9A-Za-z.-])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9A-Za-z-]|\.[0-9])"),
        is_public_ipv4,
    ),
    Kind(
        "credit_card",
        "[0-9](?:[ -]?[0-9]){12}",
        re.compile(
            r"(?<![0-9A-Za-z.,+_-])"
            r"(?:[0-9]{13,19}|[0-9]{4}([ -])[0-9]{4,6}\1[0-9]{4,5}(?:\1[0-9]{4})?)(?![0-9A-Za-z_-]|[.,][0-9])"
        ),
        is_card,
    ),
    Kind(
        "ssn",
        "[0-9]-[0-9][0-9]-[0-9]",
        re.compile(r"(?<![0-9A-Za-z.+_-])(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![0-9A-Za-z_-])"),
        always,
    ),
    Kind(
        "phone",
        r"[0-9][-. ][0-9]{3}[-. ][0-9]|\([0-9]{3}\)|\+[0-9]",
        re.compile(
            r"(?<![0-9A-Za-z.+_/=-])(?:"
            r"(?:\+?1[-. ])?(?:\([2-9][0-9]{2}\) ?[2-9][0-9]{2}[-. ]"
            r"|[2-9][0-9]{2}-[2-9][0-9]{2}-|[2-9][0-9]{2}\.[2-9][0-9]{2}\.)[0-9]{4}"
            r"|\+1 [2-9][0-9]{2} [2-9][0-9]{2} [0-9]{4}"
            r"|\+[2-9][0-9]{0,2}(?:[ -]?\(0\))?(?:[ -][0-9]{2,4}){2,5}"
            r")(?![0-9A-Za-z_]|[-.][0-9])"
        ),
        always,
    ),
)
