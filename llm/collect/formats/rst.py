"""Reads reStructuredText: prose, formulas and examples stay, what only steers Sphinx goes.

Targets, comments and directives without prose (toctree, images, raw HTML, ...) are dropped with their content; what
stands below any other directive stays, so what a manual says of a function does. Roles keep their text, :math: becomes
$...$, substitutions that the file defines are made. Nothing is included or executed. Long files are split as plain text
is.
"""

import re
from collections.abc import Iterator

from llm.collect.archive import Archive
from llm.collect.decode import texts
from llm.collect.documents import Document, Report
from llm.collect.formats.plain_text import parts

INCLUDE = ["**/*.rst"]
# directives whose content is no prose: lists of files and names, pictures, programs that make some, other formats
DROPPED = re.compile(
    r"toctree|raw|image|include|literalinclude|contents|index|plot|graphviz|digraph|graph|uml|plantuml|mermaid|"
    r"(?:block|seq|act|nw|rack|packet)diag|inheritance-diagram|autosummary|nbgallery|gallery|minigallery|"
    r"testsetup|testcleanup|program|tabularcolumns|meta|bibliography|footbibliography|replace|unicode|date|highlight|"
    r"highlightlang|(?:py:)?(?:current)?module|sectionauthor|codeauthor|moduleauthor|default-role|role|title|sectnum|"
    r"section-numbering|header|footer|todo|todolist|tags|cssclass|target-notes|jinja|tikz|latex-figure|productionlist"
)
# those whose argument is text, or a signature, even with nothing below it
ARGUMENT = re.compile(
    r"math|parsed-literal|doctest|testcode|testoutput|note|warning|tip|hint|important|caution|danger|attention|"
    r"error|admonition|seealso|topic|rubric|epigraph|pull-quote|quote|versionadded|deprecated|versionchanged|glossary|"
    r"centered|list-table|table|csv-table|dropdown|tab-item|card|describe|proof|sidebar|tab|impl-detail|"
    r"deprecated-removed|versionremoved|details|toggle|grid-item|grid-item-card|"
    r"(?:(?:py|c|cpp|js|std):)?(?:function|class|method|attribute|data|exception|classmethod|staticmethod|property|"
    r"decorator|decoratormethod|member|macro|type|struct|union|enum|enumerator|var|option|cmdoption|envvar|confval)|"
    r"opcode|pdbcommand|object"
)
# those whose argument is no text: a language, a file, a name of a style or an output, a condition, packages
SILENT = re.compile(
    r"code|code-block|sourcecode|figure|container|only|highlights|compound|tab-set|tabs|grid|div|rst-class|"
    r"ifconfig|prompt|ipython|jupyter-execute|click:(?:example|run)|doctest-(?:requires|requires-all|skip|skip-all|remote-data)"
)
DIRECTIVE = re.compile(r"^([ \t]*)\.\.[ \t]+(?:\|[^|]+\|[ \t]+)?([A-Za-z][\w:.+-]*?) ?::(?:[ \t]+(.*))?$")
SUBSTITUTION = re.compile(r"^[ \t]*\.\.[ \t]+\|([^|\n]{1,60})\|[ \t]+(replace|image|unicode)::[ \t]*(.*)$")
SUBSTITUTE = re.compile(r"\|([^\s|][^|\n]{0,59})\|(?:__?(?!\w))?")
LONGEST_SUBSTITUTION = 300
CODE = re.compile(r"(?:0x|U\+|\\u|&#x)([0-9A-Fa-f]{1,6});?")
FOOTNOTE = re.compile(r"^([ \t]*)\.\.[ \t]+(?=\[[^\]]+\](?:[ \t]|$))")
TARGET = re.compile(r"^[ \t]*(?:\.\.[ \t]+_|__[ \t]+https?://)")
EMPTY = re.compile(r"^[ \t]*\.\.[ \t]*$")
EXPLICIT = re.compile(r"^([ \t]*)\.\.(?:[ \t]+\S.*|[ \t]*)$")
ROLE = re.compile(r":([A-Za-z][\w:+.-]{0,60}):`([^`]+)`(?:\\ )?")
JOINED = re.compile(r"\\ (?=:[A-Za-z][\w:.+-]{0,60}:`)")
SHORTENED = re.compile(r"`~(?<![:`\w]`~)(?:\w++\.)*+(\w++)`(?!`)")  # `~numpy.dot` in the default role
PLAIN = re.compile(r"^[^\s`$][^`$\n]*+$", re.MULTILINE)  # a line without literals, programs and formulas
ESCAPED = re.compile(r"\\([*_])")
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
    made: dict[str, str] = {}  # what |name| stands for
    index = 0
    while index < len(lines):
        line = lines[index]
        if not line.lstrip(" ").startswith(("..", "__")):
            kept.append(line)
            index += 1
            continue
        directive, substitution = DIRECTIVE.match(line), SUBSTITUTION.match(line)
        if substitution:
            end = after_block(lines, index, indent(line))
            made[substitution[1].lower()] = substituted(substitution, lines[index + 1 : end])
            index = end
        elif directive and not DROPPED.fullmatch(directive[2].lower()):
            index = after_options(lines, index, kept, directive)
        elif directive:
            index = after_block(lines, index, len(directive[1]))
        elif footnote := FOOTNOTE.match(line):
            kept.append(f"{footnote[1]}{line[footnote.end() :]}")
            index += 1
        elif EXPLICIT.match(line) or TARGET.match(line):
            index = after_explicit(lines, index)
        else:
            kept.append(line)
            index += 1
    text = "\n".join(without_fields(kept))
    if made:
        text = SUBSTITUTE.sub(lambda match: made.get(match[1].lower(), match[0]), text)
    text = ROLE.sub(role, JOINED.sub("", text) if "\\ :" in text else text)
    text = SHORTENED.sub(r"`\1`", text) if "`~" in text else text
    text = LINK.sub(lambda match: match[1].rstrip() or " ", text)
    text = re.sub(r"(?<!`)`([^`\n]+)`_{1,2}", r"\1", text)
    if "\\" in text:
        text = PLAIN.sub(lambda match: ESCAPED.sub(r"\1", match[0]), text)
    text = "\n".join(line.rstrip(" ") for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")


def substituted(match: re.Match[str], below: list[str]) -> str:
    """Return what a substitution's definition makes of its name: text; of a picture or a long text nothing."""
    _, kind, first = match.groups()
    if kind == "image":
        return ""
    text = " ".join([first, *map(str.strip, below)]).strip()
    if kind == "unicode":
        text = CODE.sub(character, text.partition("..")[0]).replace(" ", "")
    return text if len(text) <= LONGEST_SUBSTITUTION else match[1]


def character(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return chr(code) if 32 <= code < 0xD800 or 0xE000 <= code <= 0x10FFFF else ""


def without_fields(lines: list[str]) -> list[str]:
    """Return the text without the fields (:orphan:, :author: ...) that it begins with."""
    begin = next((number for number, line in enumerate(lines) if line.strip()), 0)
    end = begin
    while end < len(lines) - 1 and FIELD.match(lines[end]):
        end += 1
    return lines[end:] if end > begin else lines


def after_options(lines: list[str], index: int, kept: list[str], directive: re.Match) -> int:
    """Keep a directive's argument if it is text, drop its options; its content follows as it stands. Of one that is not
    known to take text, the argument is kept only above some."""
    margin, name = len(directive[1]), directive[2].lower()
    index += 1
    while index < len(lines) and FIELD.match(lines[index]) and indent(lines[index]) > margin:
        option = indent(lines[index])
        index += 1
        while index < len(lines) and lines[index].strip() and indent(lines[index]) > option:  # its value goes on
            index += 1
    if not ARGUMENT.fullmatch(name) and not SILENT.fullmatch(name):
        end = after_block(lines, index - 1, margin)
        if not has_text(lines, index, end):
            return end
    if directive[3] and not SILENT.fullmatch(name):
        kept.append(directive[1] + ("    " if name == "math" else "") + directive[3])
    return index


def has_text(lines: list[str], index: int, end: int) -> bool:
    """Is there more in the lines than directives, their options and what is dropped with them?"""
    while index < end:
        line = lines[index]
        directive = DIRECTIVE.match(line)
        if directive and DROPPED.fullmatch(directive[2].lower()):
            index = after_block(lines, index, len(directive[1]))
        elif line.strip() and not EXPLICIT.match(line) and not FIELD.match(line):
            return True
        else:
            index += 1
    return False


def after_block(lines: list[str], index: int, margin: int) -> int:
    """Return the first line after an explicit block: the next one that is not blank and not indented deeper than its
    dots, which stand at `margin`."""
    index += 1
    while index < len(lines) and (not lines[index].strip() or indent(lines[index]) > margin):
        index += 1
    return index


def after_explicit(lines: list[str], index: int) -> int:
    """Return the first line after a comment, or after a target, which ends at an empty line, as an empty comment
    does."""
    if TARGET.match(lines[index]) or (EMPTY.match(lines[index]) and not "".join(lines[index + 1 : index + 2]).strip()):
        margin = indent(lines[index])
        index += 1
        while index < len(lines) and lines[index].strip() and indent(lines[index]) > margin:
            index += 1
        while index < len(lines) and not lines[index].strip():
            index += 1
        return index
    return after_block(lines, index, indent(lines[index]))


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
