"""What templates of Wikipedia that stand within a sentence say: {{as of|2014|lc=y}} is `as of 2014`, {{frac|3|4}} 3/4.

Nothing is expanded: a template that is not in the tables below says nothing, as infoboxes, references and notices do
not. Names are those of the English Wikipedia; others have many of them, too.
"""

import re
from collections.abc import Callable

QUOTED = re.compile(r"(?:text|quote|1)[ \t\n]*+=\s*+(.*)", re.DOTALL | re.IGNORECASE)  # a parameter: what is quoted
NUMBERED = re.compile(r"([1-9])[ \t]*+=\s*+(.*)", re.DOTALL)
# lone surrogates, as mediawiki.py hides what the rules of wikitext would read, and the place before a fraction
APOSTROPHE, EQUALS, FRACTION = "\ud827", "\ud83d", "\udc00"
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October"]
MONTHS += ["November", "December"]
QUOTATIONS = "quote cquote blockquote quotation poem_quote poemquote quote_box quotebox pull_quote"
FIRST = (
    "nowrap nobr nowr math mvar small smaller nobold nobold2 angbr ipa nihongo sup sub sc smallcaps big larger center "
    "abbr tooltip linktext keypress kbd key vanchor visible_anchor nastaliq flag flagcountry flagu tmath wikicode tt "
    "not_a_typo typo sic ety em strong bold italic_correction gloss samp mono resx chem2 dfn var ill "
    "interlanguage_link illm link-interwiki"
)
LAST = "lang langx transl transliteration script resize fontcolor font_color color"
# of {{convert}}
RANGES = {"-": "–", "–": "–", "to": " to ", "and": " and ", "or": " or ", "by": " by ", "x": " × ", "×": " × "}
RANGES |= {"to(-)": "–", "and(-)": "–", "+/-": " ± ", "±": " ± ", "xx": " × ", "*": " × "}
SHIPS = "uss hms hmas hmcs hmnzs ss rms mv ms sms ins rfa usns uscgc hmt"
SIGNS = {
    "ndash": " – ", "spaced ndash": " – ", "snd": " – ", "mdash": "—", "mdashb": " — ", "spaced mdash": " — ",
    "nbsp": " ", "thinsp": " ", "spaces": " ", "space": " ", "·": " · ", "dot": " · ", "'": APOSTROPHE,
    "'s": f"{APOSTROPHE}s", "=": EQUALS, "pi": "π", "circa": "c. ", "c.": "c. ", "ca.": "c. ", "sic": "[sic]",
    "ellipsis": "...", "...": "...", "-": "-", "--": "–", "degree": "°", "prime": "′",
}  # fmt: skip


def said(inner: str) -> str:
    """Return the text of a template. `inner`: what stands between its braces, the templates in it said already."""
    name = inner.partition("|")[0].strip().lower()
    if name not in KNOWN and not name.startswith("lang-"):
        return inner.partition(":")[2].partition("|")[0].strip() if name.startswith("formatnum:") else ""
    parameters = [parameter.strip() for parameter in inner.split("|")[1:]]
    values = [value for value in parameters if "=" not in value]
    if name in QUOTING:
        return next((match[1] for match in map(QUOTED.match, parameters) if match), values[0] if values else "")
    handler = HANDLERS.get(name)
    if handler is None and not name.startswith("lang-"):
        return SIGNS.get(name, "")
    if any(map(NUMBERED.match, parameters)):
        values = numbered(parameters)
    if not values:
        return SIGNS.get(name, "")
    return handler(values, parameters) if handler else values[0]


def numbered(parameters: list[str]) -> list[str]:
    """Return the values of parameters that have no name but their number, which they may say."""
    found: dict[int, str] = {}
    place = 0
    for parameter in parameters:
        match = NUMBERED.match(parameter)
        if match:
            found[int(match[1])] = match[2]
        elif "=" not in parameter:
            place += 1
            found[place] = parameter
    return [found[key] for key in sorted(found)]


def first(values: list[str], parameters: list[str]) -> str:
    return values[0]


def last(values: list[str], parameters: list[str]) -> str:
    return values[-1]


def joined(values: list[str], parameters: list[str]) -> str:
    return "".join(values)


def conversion(values: list[str], parameters: list[str]) -> str:
    """Return {{convert|5|to|6|km|mi}} as it was measured."""
    said, place = values[0], 1
    while len(values) > place + 1 and values[place] in RANGES:
        said += f"{RANGES[values[place]]}{values[place + 1]}"
        place += 2
    return f"{said} {values[place]}" if len(values) > place else ""


def about(values: list[str], parameters: list[str]) -> str:
    return f"c. {'–'.join(values[:2])}"


def as_of(values: list[str], parameters: list[str]) -> str:
    """Return `As of March 2014`."""
    year, *others = values
    month = MONTHS[int(others[0]) - 1] if others and re.fullmatch("0?[1-9]|1[0-2]", others[0]) else "".join(others[:1])
    day = others[1] if len(others) > 1 else ""
    small, bare = "lc=y" in parameters, "bare=y" in parameters
    return " ".join(part for part in ("" if bare else "as of" if small else "As of", day, month, year) if part)


def fraction(values: list[str], parameters: list[str]) -> str:
    *whole, above, below = ["1", *values] if len(values) == 1 else values[:3]
    return " ".join([*whole, f"{above}/{below}"]) if whole else f"{FRACTION}{above}/{below}"


def value(values: list[str], parameters: list[str]) -> str:
    """Return {{val|5|u=kg}} with its unit."""
    unit = next((parameter[2:].strip() for parameter in parameters if parameter.startswith(("u=", "ul="))), "")
    return f"{values[0]} {unit.removeprefix('=')}".strip()


def listed(values: list[str], parameters: list[str]) -> str:
    return " · ".join(values)


def root(values: list[str], parameters: list[str]) -> str:
    return f"√{values[0]}"


def power(values: list[str], parameters: list[str]) -> str:
    return f"×10^{values[0]}"


def ship(prefix: str) -> Callable[[list[str], list[str]], str]:
    return lambda values, parameters: f"{prefix} {values[0]}"


def named_ship(values: list[str], parameters: list[str]) -> str:
    return " ".join(values[:2])


def names(text: str) -> list[str]:
    return [name.replace("_", " ") for name in text.split()]


QUOTING = frozenset(names(QUOTATIONS))
HANDLERS: dict[str, Callable[[list[str], list[str]], str]] = {
    **dict.fromkeys(names(FIRST), first),
    **dict.fromkeys(names(LAST), last),
    **dict.fromkeys(("chem", "gaps", "simplenuclide"), joined),
    **dict.fromkeys(("convert", "cvt"), conversion),
    **dict.fromkeys(("circa", "c.", "ca."), about),
    **dict.fromkeys(("frac", "fraction", "sfrac"), fraction),
    **{name: ship(name.upper()) for name in names(SHIPS)},
    **dict.fromkeys(("radic", "sqrt"), root),
    "hlist": listed,
    "as of": as_of,
    "val": value,
    "e": power,
    "ship": named_ship,
}
KNOWN = frozenset([*QUOTING, *HANDLERS, *SIGNS])
