"""A MediaWiki XML export (a Wikipedia dump) to one document per article, its wikitext reduced to prose.

Streams the XML. Redirects and pages outside the article namespace are skipped. Templates (but for a few that carry
running text), tables, references, files, categories and the closing sections of links are dropped; links keep their
label; <math> keeps its TeX between dollars. Does not expand templates.
"""

import html
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import BinaryIO

from llm.collect.archive import Archive
from llm.collect.documents import Document, Report
from llm.errors import InputError

INCLUDE = ["**/*.xml", "**/*.xml.{bz2,gz,xz,zst}", "**/*.xml-*.bz2"]
REDIRECT = re.compile(
    r"\s*#(?:REDIRECT|WEITERLEITUNG|REDIRECTION|REDIRECCIÓN|RINVIA|ПЕРЕНАПРАВЛЕНИЕ|重定向|転送)", re.I
)
CLOSING = re.compile(
    r"^==\s*(?:references|external links|see also|further reading|notes|footnotes|bibliography|sources|"
    r"citations|notes and references|works cited|gallery)\s*==\s*$",
    re.IGNORECASE | re.MULTILINE,
)
TOKENS = re.compile(r"\{\{|\}\}|\{\||\|\}(?!\})|\[\[|\]\]")
NAMESPACED = re.compile(r"\s*:?\s*(?:file|image|media|category|[a-z]{2,3}(?:-[a-z-]+)?)\s*:", re.IGNORECASE)


def documents(archive: Archive, names: list[str], report: Report) -> Iterator[Document]:
    """One document per article: its title, a blank line, its prose."""
    for name in names:
        label = f"{archive.label}: {name}"
        with archive.open(name) as file:
            for title, wikitext in pages(file, label, report):
                text = prose(wikitext)
                yield Document(f"{title}\n\n{text}" if text else "", title, f"{name}#{title}")


def pages(file: BinaryIO, label: str, report: Report) -> Iterator[tuple[str, str]]:
    """(title, wikitext of the latest revision) of every article."""
    root, fields = None, {}
    try:
        for event, element in ElementTree.iterparse(file, events=("start", "end")):
            root = element if root is None else root
            if event == "start":
                continue
            tag = element.tag.rpartition("}")[2]
            fields[tag] = element.text or ""
            if tag == "revision":
                element.clear()  # a dump of all revisions has thousands in a page
            if tag != "page":
                continue
            text = fields.get("text", "")
            if fields.get("ns", "0") != "0":
                report.skipped["not an article"] += 1
            elif "redirect" in fields or REDIRECT.match(text):
                report.skipped["redirect"] += 1
            else:
                yield fields.get("title", ""), text
            root.clear()  # else it keeps an empty element for every page
            fields = {}
    except ElementTree.ParseError as error:
        raise InputError(f"{label}: not a whole MediaWiki XML export ({error})") from error


def prose(wikitext: str) -> str:
    """Wikitext to plain paragraphs and headings."""
    text = re.sub(r"<!--.*?(?:-->|\Z)", "", wikitext, flags=re.DOTALL)
    closing = CLOSING.search(text)
    text = text[: closing.start()] if closing else text
    text = re.sub(r"<ref\b[^<>]*/>", "", text, flags=re.IGNORECASE)
    text = re.sub(
        r"<(ref|gallery|timeline|imagemap|score|hiero)\b[^>]*>.*?</\1\s*>", "", text, flags=re.IGNORECASE | re.DOTALL
    )
    text = re.sub(r"<math\b[^>]*>(.*?)</math>", protect_math, text, flags=re.IGNORECASE | re.DOTALL)
    text = nested(text)
    text = re.sub(r"\[(?:https?:|ftp:|//)\S*\s*([^\]\n]*)\]", r"\1", text)
    text = re.sub(r"'{2,5}", "", text)
    text = re.sub(r"__[A-Z]+__", "", text)
    text = re.sub(r"<br\s*/?>", "\n", text, flags=re.IGNORECASE)
    text = re.sub(r"</?[a-zA-Z][^<>]*>", "", text)
    text = html.unescape(html.unescape(text)).replace("\xa0", " ")
    text = re.sub(r"^(={2,6})\s*(.*?)\s*\1\s*$", r"\n\2\n", text, flags=re.MULTILINE)
    text = re.sub(r"^[*#:;]+[ \t]*", lambda match: "- " if match[0][0] in "*#" else "", text, flags=re.MULTILINE)
    text = re.sub(r"\(\s*[;,:]\s*", "(", text)  # what stripped templates leave behind
    text = re.sub(r"[ \t]*\((?:\s|[;,])*\)", "", text)
    text = re.sub(r"[;,][ \t]*\)", ")", text)
    text = re.sub(r"[ \t]+([,.;:)])(?=\s|$)", r"\1", text)
    text = re.sub(r"[ \t]{2,}", " ", text)
    text = re.sub(r"^-?[ \t]*$", "", text, flags=re.MULTILINE)
    return restore_math(re.sub(r"\n{3,}", "\n\n", text)).strip()


def protect_math(match: re.Match) -> str:
    """TeX is full of braces and brackets: hidden from the wikitext rules as private-use characters."""
    return "$" + match[1].strip().translate(HIDE) + "$"


HIDE = {ord(character): 0xE000 + ord(character) for character in "{}[]|'<>=&:;#*_() \t\n,."}
SHOW = {hidden: character for character, hidden in HIDE.items()}


def restore_math(text: str) -> str:
    return text.translate(SHOW)


def nested(text: str) -> str:
    """Resolve {{templates}}, {|tables|} and [[links]], innermost first, in one pass over the text."""
    stack: list[tuple[str, list[str]]] = [("", [])]
    position = 0
    closes = {"}}": "{{", "|}": "{|", "]]": "[["}
    for match in TOKENS.finditer(text):
        token = match[0]
        stack[-1][1].append(text[position : match.start()])
        position = match.end()
        if token in closes.values():
            stack.append((token, []))
        elif stack[-1][0] == closes[token]:
            opened, pieces = stack.pop()
            stack[-1][1].append(resolved(opened, "".join(pieces)))
        elif any(opened == closes[token] for opened, _ in stack):
            while stack[-1][0] != closes[token]:  # an unclosed inner one: what it held belongs to the outer
                _, pieces = stack.pop()
                stack[-1][1].extend(pieces)
            opened, pieces = stack.pop()
            stack[-1][1].append(resolved(opened, "".join(pieces)))
    stack[-1][1].append(text[position:])
    outer = "".join(stack[0][1])  # what never closed is markup gone wrong: keep only what links hold
    return outer + "".join("".join(pieces) for opened, pieces in stack[1:] if opened == "[[")


def resolved(opened: str, inner: str) -> str:
    """The running text of one template, table or link."""
    if opened == "[[":
        target, *labels = inner.split("|")
        return "" if NAMESPACED.match(target) else (labels[-1] if labels else target)
    if opened == "{|":
        return ""
    name, *values = (value.strip() for value in inner.split("|"))
    values = [value for value in values if "=" not in value]
    match name.lower():
        case "lang" | "nihongo" | "transl" if values:
            return values[-1] if name.lower() != "nihongo" else values[0]
        case "nowrap" | "quote" | "cquote" | "blockquote" | "math" | "mvar" | "small" | "angbr" | "ipa" if values:
            return values[0]
        case "convert" | "cvt" if len(values) >= 2:
            return f"{values[0]} {values[1]}"
        case "ndash" | "spaced ndash" | "snd":
            return " – "
    return values[0] if name.startswith("lang-") and values else ""
