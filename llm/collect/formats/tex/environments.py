"""\\begin and \\end: paragraphs, lists, tables, theorems, verbatim text, and what is dropped with its content.

An environment that never ends hides nothing: its text is read as prose.
"""

import re
from typing import TYPE_CHECKING

from llm.collect.formats.tex import beamer, formulas, macros
from llm.collect.formats.tex.commands import Environment
from llm.collect.formats.tex.prose import past_technical
from llm.collect.formats.tex.source import Source

if TYPE_CHECKING:
    from llm.collect.formats.tex.scanner import Scanner

NAME = re.compile(r"[ \t]*+\{[ \t]*+([^{}\n\\]{1,80}?)[ \t]*\}")
COLUMNS = re.compile(r"(?:[lcrXSpmb|@!><*\d.\s]|\{[^{}]{0,40}\}){1,60}")
CAPTION = re.compile(r"\bcaption[ \t]*=\s*(\{(?:[^{}]|\{[^{}]*\})*\}|[^,{}]*(?:\{[^{}]*\}[^,{}]*)*)")
LABEL = re.compile(r"\blabel[ \t]*=\s*\{?([^{},\s]+)")
MOST_VERBATIM = 50


def name_here(tex: "Scanner") -> str | None:
    r"""Read the {name} of \begin or \end; None where there is none, and nothing is read."""
    source = tex.here()
    match = NAME.match(source.text, source.position)
    if match is None:
        return None
    source.position = match.end()
    return match[1]


def begin(tex: "Scanner", command: str) -> None:
    name = name_here(tex)
    if name is None:
        return
    base = name.removesuffix("*")
    environment = tex.environments.get(name) or tex.environments.get(base)
    known = environment if isinstance(environment, Environment) else None
    kind = known.kind if known else ""
    if name == "document":
        tex.examples += not tex.preamble
        tex.start_document()
    elif kind == "math":
        formulas.environment(tex, name)
    elif known and kind == "verbatim":
        verbatim(tex, name, known.arguments)
    elif kind == "dropped":
        drop(tex, name)
    else:
        tex.enter(base)
        open_paragraph(tex, base, environment)


def open_paragraph(tex: "Scanner", name: str, environment: Environment | macros.UserEnvironment | None) -> None:
    """Begin an environment whose content is read on as prose."""
    source = tex.source
    if environment is None:
        tex.out.append("\n")
        unknown_arguments(tex)
        return
    if isinstance(environment, macros.UserEnvironment):
        tex.push(macros.filled(tex, environment.begin))
        return
    if environment.kind == "theorem":
        note = source.read_option()
        number = tex.numbers.step(tex.theorems.get(name, name), environment.arguments.lower())
        tex.out.append("\n\n")
        tex.push(f"{environment.arguments} {number}{f' ({note})' if note else ''}. ")
        return
    if environment.kind == "proof":
        heading = source.read_option() or "Proof"
        tex.out.append("\n\n")
        tex.push(f"{heading.rstrip('.: ')}. ")
        return
    if environment.kind == "titled":
        beamer.open_titled(tex, environment)
        return
    source.skip(environment.arguments)
    tex.out.append("\n\n")
    if environment.kind == "list":
        tex.state.lists.append(0 if "enum" in name else -1)
    elif environment.kind == "table":
        tex.state.tables += 1


def unknown_arguments(tex: "Scanner") -> None:
    """Read past options, and arguments that are no text, of an environment that nothing is known of."""
    source = tex.source
    source.skip("o")
    span = past_technical(tex)
    if span and span[1] - span[0] < 160 and COLUMNS.fullmatch(source.text, *span):
        source.position = span[1] + 1
    source.skip("o")


def end(tex: "Scanner", command: str) -> None:
    name = name_here(tex)
    if name is None:
        return
    base = name.removesuffix("*")
    if name == "document" and tex.examples:
        tex.examples -= 1
        return
    if name == "document":
        tex.stop()
        return
    environment = tex.environments.get(name) or tex.environments.get(base)
    if not tex.leave(base):
        return
    if isinstance(environment, macros.UserEnvironment):
        tex.push(environment.end)
    else:
        tex.out.append("\n" if environment is None or environment.kind == "list" else "\n\n")


def verbatim(tex: "Scanner", name: str, arguments: str) -> None:
    source = tex.source
    ending = source.ahead(tex.ending(name))
    if ending is None:
        return
    content = Source(source.text[source.position : ending[0]])
    options = (content.read_option() or "") if content.text.startswith("[") else ""
    if content.text.startswith(("[", "{")):
        content.skip(arguments.removeprefix("o"))
    source.position = ending[1]
    tex.out.append("\n")
    tex.keep(content.text[content.position :].strip("\n"))
    tex.out.append("\n")
    listing_caption(tex, options)


def listing(tex: "Scanner", command: str) -> None:
    r"""Read \lstinputlisting[caption=..]{file}."""
    source = tex.here()
    options = source.read_option() or ""
    source.skip("m")
    listing_caption(tex, options)


def listing_caption(tex: "Scanner", options: str) -> None:
    """Write the caption among a listing's options as a paragraph below it."""
    caption, label = CAPTION.search(options), LABEL.search(options)
    if caption is None:
        return
    number = tex.numbers.step("listing")
    if label:
        tex.numbers.label(label[1])
    tex.out.append("\n\n")
    tex.push(f"Listing {number}: {caption[1]}\n\n")


def drop(tex: "Scanner", name: str) -> None:
    ending = tex.source.ahead(tex.ending(name))
    if ending is not None:
        tex.source.position = ending[1]


def verbatim_environment(tex: "Scanner", command: str) -> None:
    r"""Define \DefineVerbatimEnvironment{name}{Verbatim}{..} or \lstnewenvironment{name}[..]{..}{..}."""
    source = tex.here()
    name = (source.read_group() or "").strip()
    source.skip("mm" if command == "DefineVerbatimEnvironment" else "oomm")
    if name and (name in tex.environments or len(tex.verbatim) < MOST_VERBATIM):
        tex.verbatim.add(name)
        tex.environments[name] = Environment("verbatim", "o")
