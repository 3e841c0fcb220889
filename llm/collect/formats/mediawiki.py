"""Reads a MediaWiki XML export (a Wikipedia dump): one document per article, its wikitext reduced to prose.

It streams the XML. Redirects and pages outside the article namespace are skipped. Templates (but for a few that carry
running text), tables, references, files, categories and sections of links are dropped; links keep their
label; <math> keeps its TeX between dollars. What is opened and never closed hides nothing. Templates are not expanded.

mwparserfromhell reads 0.6 MB a CPU second where this reads 9.5, takes time by the square of unclosed braces, and drops
what {{convert}} and {{lang}} say.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from io import BufferedReader
from itertools import pairwise

from llm.collect.archive import Archive
from llm.collect.documents import Document, Report
from llm.collect.formats.character_references import unescaped
from llm.collect.formats.records import elements
from llm.collect.formats.wiki_templates import FRACTION, said

INCLUDE = ["**/*.xml", "**/*.xml.{bz2,gz,xz,zst}", "**/*.xml-*.bz2"]
REDIRECT = re.compile(
    r"\s*#(?:REDIRECT|WEITERLEITUNG|REDIRECTION|REDIRECCIÓN|RINVIA|ПЕРЕНАПРАВЛЕНИЕ|重定向|転送)", re.I
)
CLOSING = re.compile(
    r"^==[ \t]*+(?:references|external links|see also|further reading|notes|footnotes|bibliography|sources|"
    r"citations|notes and references|works cited|gallery|"
    r"einzelnachweise|weblinks|siehe auch|literatur|références|notes et références|liens externes|voir aussi|"
    r"bibliographie|referencias|enlaces externos|véase también|bibliografía|collegamenti esterni|voci correlate|"
    r"altri progetti|bibliografia|referências|ligações externas|ver também|referenties|externe links?|zie ook|"
    r"källor|externa länkar|se även|przypisy|linki zewnętrzne|zobacz też|примечания|ссылки|литература|см\. также|"
    r"източници|външни препратки|бележки|脚注|参考文献|外部リンク|関連項目|外部链接|外部連結|参见|"
    r"각주|외부 링크|같이 보기"
    r")[ \t]*+==[ \t]*+$",
    re.IGNORECASE | re.MULTILINE,
)
SECTION = re.compile("^==(?!=)", re.MULTILINE)
ELEMENTS = "ref|gallery|timeline|imagemap|score|hiero|math|nowiki|source|syntaxhighlight|pre"
ELEMENT = re.compile(rf"</({ELEMENTS})\s*+>|<({ELEMENTS})\b([^<>]*+)>", re.IGNORECASE)
PARAMETER = re.compile(r"\{\{\{([^{}|]*+)(?:\|([^{}]*+))?\}\}\}")
BLOCK = re.compile(
    r"(?<=\S)</?(?:div|p|center|blockquote|poem|pre|[ou]l|dl|li|d[dt]|table|caption|t[rdh]|h[1-6r])\b[^<>]*+>(?=\S)",
    re.IGNORECASE,
)  # within a line, it would glue the words beside it together
TOKENS = re.compile(r"\{\{|\}\}|\{\||\|\}(?!\})|\[\[|\]\]")
CLOSES = {"}}": "{{", "|}": "{|", "]]": "[["}
MOST_ELEMENTS = 10_000  # of one revision, which has a dozen
DEEPEST = 40  # levels of templates, tables and links; as deep as MediaWiki goes
# pictures, categories and other languages' articles: links that are no text
NAMESPACES = (
    "file|image|media|category|datei|bild|kategorie|fichier|catégorie|archivo|imagen|categoría|immagine|categoria|"
    "ficheiro|imagem|arquivo|bestand|afbeelding|fil|kategori|plik|grafika|kategoria|soubor|tiedosto|luokka|fájl|"
    "kategória|dosya|файл|изображение|категория|картинка|категорія|зображення|датотека|категорија|ファイル|画像|"
    "カテゴリ|文件|图像|檔案|分类|分類|파일|그림|분류|קובץ|קטגוריה|ملف|صورة|تصنيف|پرونده|رده"
)
NAMESPACED = re.compile(rf"\s*+(?::\s*+)?(?:{NAMESPACES}|[a-z]{{2,3}}(?:-[a-z-]+)?)\s*:", re.IGNORECASE)
VARIANTS = re.compile(r"-\{([^{}]*+)\}-")  # of Chinese and other languages, for the converter of scripts
VARIANT = re.compile(r"\s*+(?:[a-z]{2,3}(?:-[a-z]{2,8})*\s*+:|$)", re.IGNORECASE)
NOWIKI = re.compile(r"</?nowiki\s*+/?>", re.IGNORECASE)
ADDRESS = re.compile(r"\[(?:https?:|ftp:|mailto:|//)[^\s\]]*+[^\S\n]*+")


def documents(archive: Archive, names: list[str], report: Report) -> Iterator[Document]:
    """Yield one document per article: its title, a blank line, its prose."""
    for name in names:
        where = f"{archive.label}: {name}"
        with archive.open(name) as file:
            for title, wikitext in pages(file, where, archive.limits.member, report):
                text = prose(wikitext)
                yield Document(f"{title}\n\n{text}" if text else "", title, f"{name}#{title}")


def pages(file: BufferedReader, where: str, limit: int, report: Report) -> Iterator[tuple[str, str]]:
    """Yield (title, wikitext of the latest revision) of every article. A page that is not well-formed, or has a
    revision of about `limit` bytes and more, is counted. Raises InputError for a dump that ends before its end."""
    for page in elements(file, "page", "mediawiki", where):
        try:
            fields = fields_of(page, limit)
        except ElementTree.ParseError as error:
            report.broken("broken page", f"{where}: a page is not well-formed XML ({error})")
            continue
        if fields is None:
            report.skipped["too large"] += 1
            continue
        text = fields.get("text", "")
        if fields.get("ns", "0") != "0":
            report.skipped["not an article"] += 1
        elif "redirect" in fields or REDIRECT.match(text):
            report.skipped["redirect"] += 1
        else:
            yield fields.get("title", ""), text


def fields_of(page: Iterator[bytes], limit: int) -> dict[str, str] | None:
    """Return the text of each of a page's elements, of those of one name the last; None if one of them is too large, or
    they are too many."""
    parser: ElementTree.XMLPullParser = ElementTree.XMLPullParser(("start", "end"))
    fields: dict[str, str] = {}
    size = events = 0
    for piece in page:
        size += len(piece)
        if size > limit:
            return None
        parser.feed(piece)
        for event in parser.read_events():
            element = event[-1]
            assert isinstance(element, ElementTree.Element)
            events += 1
            if event[0] == "start":
                continue
            fields[element.tag] = element.text or ""
            if element.tag == "revision":
                element.clear()  # a dump of all revisions has thousands in a page
                size = events = 0
        if events > 2 * MOST_ELEMENTS:
            return None
    parser.close()
    return fields


def prose(wikitext: str) -> str:
    """Return plain paragraphs and headings of a wikitext."""
    text = re.sub(r"<!--.*?(?:-->|\Z)", "", wikitext, flags=re.DOTALL)
    text = without_elements(without_closing(text))
    text = nested(PARAMETER.sub(lambda match: match[2] or "", text))
    if FRACTION in text:
        text = re.sub(f"(?<=[0-9]){FRACTION}", " ", text).replace(FRACTION, "")
    text = labels_of_links(VARIANTS.sub(variant, text))
    text = re.sub(r"'{2,5}", "", text)
    text = re.sub(r"__[A-Z]+__", "", text)
    text = re.sub(r"<br\s*/?>", "\n", text, flags=re.IGNORECASE)
    text = BLOCK.sub("\n", text)
    text = re.sub(r"</?[a-zA-Z][^<>]*>", "", text)
    text = unescaped(unescaped(text)).replace("\xa0", " ")
    text = re.sub(r"[ \t]{2,}", " ", text)
    text = re.sub(r"^==.*$", heading, text, flags=re.MULTILINE)
    text = re.sub(r"^[*#:;]+[ \t]*", lambda match: "- " if match[0][0] in "*#" else "", text, flags=re.MULTILINE)
    text = re.sub(r"\(\s*[;,:]\s*", "(", text)  # what stripped templates leave behind
    text = re.sub(r"[ \t]?\([\s;,]*+\)", "", text)
    text = re.sub(r"[;,][ \t]?\)", ")", text)
    text = re.sub(r"[ \t]([,.;:)])(?=\s|$)", r"\1", text)
    text = re.sub(r"[ \t]{2,}", " ", text)
    text = re.sub(r"^-?[ \t]?$", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).translate(SHOW).strip()


def without_closing(text: str) -> str:
    """Drop the sections of links, wherever they stand, with their subsections."""
    begins = [0, *(match.start() for match in SECTION.finditer(text)), len(text)]
    return "".join(text[begin:end] for begin, end in pairwise(begins) if not CLOSING.match(text, begin))


# TeX is full of braces and brackets: it is hidden from the rules of wikitext as lone surrogates, which no text holds
HIDE = {ord(character): 0xD800 + ord(character) for character in "{}[]|'<>=&:;#*_() \t\n,."}
SHOW = {hidden: character for character, hidden in HIDE.items()}


def without_elements(text: str) -> str:
    """Return the text without references, galleries and so on; <math> becomes TeX between dollars, <nowiki> and
    programs stay as they are. What never ends hides nothing."""
    last = {match[1].lower(): match.start() for match in ELEMENT.finditer(text) if match[1]}
    pieces, position, within = [], 0, ""
    for match in ELEMENT.finditer(text):
        closed, opened = (match[1] or "").lower(), (match[2] or "").lower()
        if within and closed == within:
            inner = text[position : match.start()]
            pieces.append(shown(within, inner))
            within, position = "", match.end()
        elif opened and not within:
            pieces.append(text[position : match.start()])
            position = match.end()
            if not match[3].endswith("/") and last.get(opened, 0) > match.start():
                within = opened
    return "".join([*pieces, text[position:]])


def shown(element: str, inner: str) -> str:
    """Return what stands for an element whose content is no wikitext, hidden from its rules."""
    match element:
        case "math":
            return f"${inner.strip().translate(HIDE)}$"
        case "nowiki":
            return unescaped(inner).translate(HIDE)
        case "source" | "syntaxhighlight" | "pre":
            inner = unescaped(inner) if element == "pre" else inner
            return NOWIKI.sub("", inner).strip("\n").translate(HIDE)
    return ""


def variant(match: re.Match[str]) -> str:
    """Return what -{...}- shows: the first of its variants (`zh-hans:A; zh-hant:B`), or text that stays as it is."""
    flags, bar, text = match[1].rpartition("|")
    if not (bar and flags.strip().isupper()) and not VARIANT.match(match[1]):
        return match[0] if match[1].isascii() else match[1]  # -{2-methyl}- is no Chinese
    if set(flags) & set("HTN"):  # a rule, a title, a variant's name: nothing is shown
        return ""
    first = next(filter(None, map(str.strip, text.split(";"))), "")
    return VARIANT.sub("", first, count=1).strip() if VARIANT.match(first) else text.strip()


def labels_of_links(text: str) -> str:
    """Replace links to other sites, [http://x label], by their labels."""
    pieces, position, bracket, line = [], 0, -1, -1
    for match in ADDRESS.finditer(text):
        end = match.end()
        if match.start() < position:
            continue
        bracket = text.find("]", end) if bracket < end else bracket
        line = text.find("\n", end) % (len(text) + 1) if line < end else line
        if bracket < 0:
            break
        if bracket < line:
            pieces += [text[position : match.start()], text[end:bracket]]
            position = bracket + 1
    return "".join([*pieces, text[position:]])


def heading(match: re.Match[str]) -> str:
    """Return == Heading == as a line of its own."""
    line = match[0].rstrip()
    level = min(len(line) - len(line.lstrip("=")), len(line) - len(line.rstrip("=")), len(line) // 2, 6)
    return f"\n{line[level:-level].strip()}\n" if level >= 2 else match[0]


def nested(text: str) -> str:
    """Resolve {{templates}}, {|tables|} and [[links]], innermost first, in one pass over the text."""
    stack: list[tuple[str, list[str]]] = [("", [])]
    open_, too_deep = Counter[str](), Counter[str]()
    position = 0
    for match in TOKENS.finditer(text):
        token = match[0]
        stack[-1][1].append(text[position : match.start()])
        position = match.end()
        kind = CLOSES.get(token)
        if kind is None:
            if len(stack) > DEEPEST:
                too_deep[token] += 1
                continue
            stack.append((token, []))
            open_[token] += 1
        elif too_deep[kind]:
            too_deep[kind] -= 1
        elif open_[kind]:
            levels = [stack.pop()]
            while levels[-1][0] != kind:  # an unclosed inner one: what it held belongs to the outer
                levels.append(stack.pop())
            open_.subtract(opened for opened, _ in levels)
            inner = "".join(piece for _, pieces in reversed(levels) for piece in pieces)
            stack[-1][1].append(resolved(kind, inner))
    stack[-1][1].append(text[position:])
    return "".join(unclosed(opened, "".join(pieces)) for opened, pieces in stack)


def unclosed(opened: str, text: str) -> str:
    """Return what follows a {{, {| or [[ that never closes: parameters and cells go by their lines, prose stays."""
    if opened in ("", "[["):
        return text
    text = re.sub(r"\A[^\n|]*(?=\n[ \t]*\|)", "", text)
    return re.sub(r"^[ \t]*+[|!][^\n]*+$", "", text, flags=re.MULTILINE)


def resolved(opened: str, inner: str) -> str:
    """Return the running text of one template, table or link."""
    if opened == "[[":
        target, *labels = inner.split("|")
        return "" if ":" in target and NAMESPACED.match(target) else (labels[-1] if labels else target)
    if opened == "{|":
        return ""
    return said(inner)
