"""Reads reStructuredText: prose, formulas and examples stay, what only steers Sphinx goes.

Targets, comments and directives without prose (toctree, autodoc, images, raw HTML, ...) are dropped with their content;
what a manual says below a function's signature stays. Roles keep their text, :math: becomes $...$. Nothing is included
or executed. Long files are split as plain text is.
"""

import re
from collections.abc import Iterator

from llm.collect.archive import Archive
from llm.collect.decode import texts
from llm.collect.documents import Document, Report
from llm.collect.formats.plain_text import parts

INCLUDE = ["**/*.rst"]
# directives whose content is prose, a formula or an example
KEPT = re.compile(
    r"math|code|code-block|sourcecode|parsed-literal|doctest|testcode|testoutput|prompt|note|warning|tip|"
    r"hint|important|caution|danger|attention|error|admonition|seealso|topic|rubric|epigraph|pull-quote|"
    r"quote|versionadded|deprecated|versionchanged|glossary|centered|list-table|table|csv-table|dropdown|"
    r"tab-item|tab-set|grid|card|describe|proof|sidebar|figure|container|compound|highlights|only|tabs|tab|"
    r"impl-detail|deprecated-removed|versionremoved|details|toggle|grid-item|grid-item-card|"
    # what is said of a part of a program below its signature
    r"(?:(?:py|c|cpp|js|std):)?(?:function|class|method|attribute|data|exception|classmethod|staticmethod|property|"
    r"decorator|decoratormethod|member|macro|type|struct|union|enum|enumerator|var|option|cmdoption|envvar|confval)|"
    r"opcode|pdbcommand|object"
)
# those whose argument is no text: a language, a file, a name of a style or an output
SILENT = re.compile(r"code|code-block|sourcecode|figure|container|only|highlights|compound|tab-set|tabs|grid")
DIRECTIVE = re.compile(r"^([ \t]*)\.\.[ \t]+(?:\|[^|]+\|[ \t]+)?([A-Za-z][\w:.+-]*?)::(?:[ \t]+(.*))?$")
EXPLICIT = re.compile(r"^([ \t]*)\.\.(?:[ \t]+\S.*|[ \t]*)$")
ROLE = re.compile(r":([A-Za-z][\w:+.-]{0,60}):`([^`]+)`")
LINK = re.compile(r"`([^`<]+)<[^`>]+>`__?")
FIELD = re.compile(r"^[ \t]*:[A-Za-z][\w-]*:(?:[ \t].*)?$")  # :class:`Foo` is a role, which may begin a sentence


def documents(archive: Archive, names: list[str], report: Report) -> Iterator[Document]:
    """Yield one document per file, or several of a long one."""
    for name, text in texts(archive, names, report):
        yield from parts(prose(text), name)


def prose(source: str) -> str:
    """Return the text without what steers Sphinx."""
    lines = source.replace("\r\n", "\n").expandtabs(8).split("\n")
    kept: list[str] = []
    index = 0
    while index < len(lines):
        line = lines[index]
        directive, explicit = DIRECTIVE.match(line), EXPLICIT.match(line)
        if directive and KEPT.fullmatch(directive[2]):
            index = after_options(lines, index + 1, kept, directive)
            continue
        if directive or explicit:
            footnote = re.match(r"^[ \t]*\.\.[ \t]+\[[^\]]+\][ \t]+\S", line)
            if footnote:
                kept.append(re.sub(r"^([ \t]*)\.\.[ \t]+", r"\1", line))
                index += 1
                continue
            index = after_block(lines, index)
            continue
        kept.append(line)
        index += 1
    text = "\n".join(without_fields(kept))
    text = ROLE.sub(role, text)
    text = LINK.sub(lambda match: match[1].rstrip() or " ", text)
    text = re.sub(r"(?<!`)`([^`\n]+)`_{1,2}", r"\1", text)
    text = "\n".join(line.rstrip(" ") for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")


def without_fields(lines: list[str]) -> list[str]:
    """Return the text without the fields (:orphan:, :author: ...) that it begins with."""
    begin = next((number for number, line in enumerate(lines) if line.strip()), 0)
    end = begin
    while end < len(lines) - 1 and FIELD.match(lines[end]):
        end += 1
    return lines[end:] if end > begin else lines


def after_options(lines: list[str], index: int, kept: list[str], directive: re.Match) -> int:
    """Keep a directive's argument if it is text, drop its options; its content follows as it stands."""
    if directive[3] and not SILENT.fullmatch(directive[2]):
        kept.append(directive[1] + ("    " if directive[2] == "math" else "") + directive[3])
    while index < len(lines) and FIELD.match(lines[index]) and indent(lines[index]) > len(directive[1]):
        index += 1
    return index


def after_block(lines: list[str], index: int) -> int:
    """Return the first line after an explicit block: the next one that is not blank and not indented deeper than its
    dots."""
    margin = indent(lines[index])
    index += 1
    while index < len(lines) and (not lines[index].strip() or indent(lines[index]) > margin):
        index += 1
    return index


def indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def role(match: re.Match) -> str:
    """Return what a role says: `:func:`~numpy.dot`` -> dot, `:ref:`text <label>`` -> text, `:math:`x`` -> $x$."""
    name, text = match.groups()
    if name == "math":
        return f"${text}$"
    label, _, target = text[:-1].rpartition("<") if text.endswith(">") else ("", "", "")
    if label.strip() and target and ">" not in target:
        return label.rstrip()
    return text.rpartition(".")[2] if text.startswith("~") else text.lstrip("!")
