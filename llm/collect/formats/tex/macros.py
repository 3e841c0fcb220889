"""Learns the macros and environments that a document defines, and expands them in prose."""

import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from llm.collect.formats.tex import conditionals, prose
from llm.collect.formats.tex.commands import STRUCTURE, Environment
from llm.collect.formats.tex.layout import BREAK
from llm.collect.formats.tex.source import PIECE_OF_STYLE

if TYPE_CHECKING:
    from llm.collect.formats.tex.scanner import Scanner

NAME = re.compile(r"\\([A-Za-z@]+|[^A-Za-z@])", re.DOTALL)
DEFINED = re.compile(r"[ \t]*\\([A-Za-z@]+|[^A-Za-z@\s])([^{}%]{0,200})(?=\{)")
ARGUMENT_COUNTS = frozenset("123456789")
PARAMETER = re.compile(r"#([#1-9])")
SPECIFIER = re.compile(r"\{[^{}]*\}|([mosO])")
XARG = re.compile(r"([1-9])[ \t]*=([^,]*)")  # of \newcommandx[2][1=default]
TITLE = re.compile(r"\b(?:name|title)[ \t]*=[ \t]*\{?([^,{}\]]{1,60})")
LET = re.compile(r"[ \t]*\\([A-Za-z@]+)[ \t]*=?[ \t]*\\([A-Za-z@]+)")
COMMAND_END = re.compile(r"\\[A-Za-z@]{1,80}\Z")
CHARACTER = re.compile(r"[ \t]*=?[ \t]*(?:`\\?(.)|'([0-7]{1,6})|\"([0-9A-F]{1,5})|([0-9]{1,6})) ?", re.DOTALL)
INTERNAL = re.compile(r"@|\\(?:if|csname|expandafter|let|futurelet)")  # of a style file: more than an abbreviation
# what a document may not define otherwise; references are often wrapped: \renewcommand{\eqref}[1]{\ref{eq:#1}}
PROTECTED = {name for name, kind in STRUCTURE.items() if kind != "reference"} | {*conditionals.TESTS, "fi", "ref"}
MOST_LABELLING = 20
ENDING = re.compile(r"\\end[ \t]*\{([^{}]{1,40})\}")


class EndlessError(Exception):
    """Raised for macros that expand into far more than the document holds, and with its name for one without end."""


@dataclass(frozen=True)
class Macro:
    """`body` with #1 to #9 for arguments. `kinds`: a letter for each, m in braces, o in square brackets, s a star.
    `default`: of an optional one that is not given. `delimiters`: what ends each argument of a macro that \\def gave a
    pattern; () if none."""

    body: str
    kinds: str = ""
    default: str = ""
    delimiters: tuple[str, ...] = ()


@dataclass(frozen=True)
class UserEnvironment:
    """An environment of the document's own: what stands for its begin and its end."""

    begin: Macro
    end: str


def newcommand(tex: "Scanner", command: str) -> None:
    r"""Learn \newcommand{\x}[2][default]{body} and its kin."""
    source = tex.here()
    source.skip("s")
    name = NAME.fullmatch((source.read_token() or "").strip())
    count = source.read_option()
    default = source.read_option() if count is not None else None
    optional = dict(XARG.findall(default)) if default and command.endswith("commandx") else None
    body = source.read_token()
    if name is None or body is None or (command == "providecommand" and name[1] in tex.macros):
        return
    if optional:
        kinds = "".join("o" if str(place + 1) in optional else "m" for place in range(len(arguments(count, None))))
        define(tex, name[1], Macro(body, kinds, next(iter(optional.values())).strip("{}")))
        return
    define(tex, name[1], Macro(body, arguments(count, default), default or ""))


def document_command(tex: "Scanner", command: str) -> None:
    r"""Learn \NewDocumentCommand{\x}{s o m}{body}."""
    source = tex.here()
    name = NAME.fullmatch((source.read_token() or "").strip())
    given, body = source.read_group(), source.read_group()
    if name is None or body is None:
        return
    kinds = "".join(match[1] for match in SPECIFIER.finditer(given or "") if match[1])[:9]
    define(tex, name[1], Macro(body, kinds.replace("O", "o"), conditionals.NO_VALUE))


def definition(tex: "Scanner", command: str) -> None:
    r"""Learn \def\x#1#2{body}, also with text between its arguments."""
    source = tex.here()
    match = DEFINED.match(source.text, source.position)
    if match is None:
        return
    source.position = match.end()
    body = source.read_group()
    if body is None:
        return
    before, *delimiters = PARAMETER.split(match[2].strip())[::2]
    if before and delimiters:
        return  # a pattern before the first argument: nothing that prose is written with
    plain = not any(delimiters)
    define(tex, match[1], Macro(body, "m" * len(delimiters), "", () if plain else tuple(delimiters)))


def let(tex: "Scanner", command: str) -> None:
    r"""Learn \let\x=\y."""
    source = tex.here()
    match = LET.match(source.text, source.position)
    if match is None:
        source.skip("m")
        return
    source.position = match.end()
    new, old = match.groups()
    if new in PROTECTED or new == old:
        return
    if old in tex.macros:
        tex.macros[new], tex.commands[new] = tex.macros[old], expand
        return
    built_in, known = tex.aliases.get(old, (old, tex.commands.get(old)))
    tex.macros.pop(new, None)
    tex.commands.pop(new, None)
    if known is not None:
        tex.aliases[new] = built_in, known
        tex.commands[new] = lambda tex, _: known(tex, built_in)


def character(tex: "Scanner", command: str) -> None:
    r"""Write \char`\x, \char92, \char"5C or \symbol{92}; \chardef\x=92 defines \x."""
    source = tex.here()
    name = NAME.fullmatch((source.read_token() or "").strip()) if command == "chardef" else None
    if command == "symbol":
        match = CHARACTER.fullmatch(source.read_group() or "")
    else:
        match = CHARACTER.match(source.text, source.position)
        source.position = match.end() if match else source.position
    if match is None:
        return
    written, octal, hexadecimal, decimal = match.groups()
    code = ord(written) if written else int(octal or hexadecimal or decimal, 8 if octal else 16 if hexadecimal else 10)
    if name is not None:
        define(tex, name[1], Macro(f"\\char{code} "))
    elif 32 <= code < 0xD800 or 0xE000 <= code <= 0x10FFFF:
        tex.keep(chr(code))


def newenvironment(tex: "Scanner", command: str) -> None:
    r"""Learn \newenvironment{x}[1][default]{begin}{end}."""
    source = tex.here()
    source.skip("s")
    name = (source.read_group() or "").strip()
    count = source.read_option()
    default = source.read_option() if count is not None else None
    begin, end = source.read_group(), source.read_group()
    if not tex.expanding or begin is None or end is None or name in ("", "document", "figure", "table", "abstract"):
        return
    if tex.learning and INTERNAL.search(begin + end):
        return
    tex.environments[name] = UserEnvironment(Macro(begin, arguments(count, default), default or ""), end)
    for ended in ENDING.findall(end):
        tex.add_ending(ended, rf"\\end[ \t]*\{{{re.escape(name)}\}}")


def arguments(count: str | None, default: str | None) -> str:
    """Return the kinds of as many arguments, the first one optional if it has a default."""
    kinds = "m" * int(count) if count and count.strip() in ARGUMENT_COUNTS else ""
    return kinds if default is None else f"o{kinds[1:]}"


def define(tex: "Scanner", name: str, macro: Macro) -> None:
    if not tex.expanding or name in PROTECTED or len(name) > 80:
        return
    if tex.learning and INTERNAL.search(macro.body):
        return
    if name in tex.unexpanded:
        macro = Macro("")
    tex.macros[name] = macro
    tex.commands[name] = expand
    short = len(macro.body) < 100 and len(tex.labelling) < MOST_LABELLING
    if "\\label" in macro.body and macro.kinds == "m" and short:
        tex.labelling[name] = macro.body
    if "\\end" in macro.body:
        for ended in ENDING.findall(macro.body):
            tex.add_ending(ended, rf"\\{re.escape(name)}(?![A-Za-z])")


def expand(tex: "Scanner", name: str) -> None:
    """Go on with the macro's body instead. A blank after a macro without arguments is kept, though TeX drops it:
    whoever wrote it there meant one."""
    macro = tex.macros[name]
    source = tex.here()
    at = (tex.outer[0] if tex.outer else source).position
    tex.steps, tex.before = (tex.steps + 1 if at == tex.before else 0), at
    if tex.steps > tex.most_steps and (name not in tex.unexpanded or tex.steps > 2 * tex.most_steps):
        raise EndlessError(name)  # one that is left out already is not what has no end
    if not macro.kinds:
        source.position -= source.position > 0 and source.text[source.position - 1] in " \t"
        tex.push(macro.body)
        return
    tex.push(filled(tex, macro))


def filled(tex: "Scanner", macro: Macro) -> str:
    """Return the body with the arguments that come next."""
    source = tex.here()
    found = []
    for kind, delimiter in zip_longest(macro.kinds, macro.delimiters):
        if delimiter:
            found.append(source.read_until(delimiter.strip()))
        elif kind == "m":
            found.append(source.read_argument())
        elif kind == "o":
            option = source.read_option()
            found.append(macro.default if option is None else option)
        else:
            found.append(conditionals.STARRED if source.text.startswith("*", source.position) else "")
            source.skip("s")
    pieces = PARAMETER.split(macro.body)
    for place in range(1, len(pieces), 2):
        if pieces[place] == "#":  # of a definition in the body
            continue
        argument = found[int(pieces[place]) - 1] if int(pieces[place]) <= len(found) else ""
        apart = argument[:1].isalpha() and COMMAND_END.search(pieces[place - 1]) is not None
        pieces[place] = BREAK + argument if apart else argument
    return "".join(pieces)


def newtheorem(tex: "Scanner", command: str) -> None:
    r"""Learn \newtheorem{name}[shared]{Title}[within]."""
    source = tex.here()
    source.skip("o" if command == "newmdtheoremenv" else "s")
    name = (source.read_group() or "").strip()
    shared = source.read_option()
    title = source.read_group()
    within = source.read_option()
    source.skip("mm" if command == "spnewtheorem" else "")
    if not name or title is None:
        return
    tex.environments[name] = Environment("theorem", title)
    tex.theorems[name] = (shared or name).strip()
    if within and not shared:
        tex.numbers.within[name] = within.strip()


def declaretheorem(tex: "Scanner", command: str) -> None:
    r"""Learn \declaretheorem[name=Title, ..]{name, ..}."""
    source = tex.here()
    settings = source.read_option() or ""
    names = source.read_group() or ""
    settings += source.read_option() or ""
    title = TITLE.search(settings)
    for name in filter(None, map(str.strip, names.split(","))):
        tex.environments[name] = Environment("theorem", title[1].strip() if title else name.capitalize())


def register(tex: "Scanner", command: str) -> None:
    r"""Learn \newlength{\x}, \newdimen\x and \newcount\x: what follows \x is its value."""
    name = NAME.fullmatch((tex.here().read_token() or "").strip())
    if name is not None and name[1] not in PROTECTED and tex.expanding and len(name[1]) <= 80:
        tex.macros.pop(name[1], None)
        tex.commands[name[1]] = prose.length


def at_letter(tex: "Scanner", name: str) -> None:
    tex.source.piece = PIECE_OF_STYLE.match


def at_other(tex: "Scanner", name: str) -> None:
    tex.source.piece = tex.piece.match
