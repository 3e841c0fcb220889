"""LaTeX sources to text: equations are kept as they are written, the markup of prose becomes plain.

Comments, the preamble, definitions, figures, tables, labels and citations are dropped. A main file (\\documentclass)
takes in what it \\input{}s and \\include{}s. Macros are not expanded: in formulas they stay as written, in prose an
unknown command with an argument keeps the argument, one without disappears. A file without \\begin{document} that no
main file takes in is a chapter. An arXiv dump is a tar of .gz: `archives: ["**/*.gz"]`.
"""

import posixpath
import re
import unicodedata
from collections.abc import Container, Iterator

from llm.text.archive import Archive
from llm.text.decode import decode, texts
from llm.text.documents import Document, Report
from llm.text.plain import parts

INCLUDE = ["**/*.tex", "**/*.ltx", "**/*.tex.gz"]
MATH = re.compile(
    r"\\begin\{(equation|align|alignat|gather|multline|eqnarray|displaymath|math|flalign)(\*?)\}.*?\\end\{\1\2\}"
    r"|\\\[.*?\\\]|\\\(.*?\\\)|\$\$.*?\$\$|(?<!\\)\$(?:\\.|[^$\\])*\$",
    re.DOTALL,
)
VERBATIM = re.compile(r"\\begin\{(verbatim\*?|lstlisting|minted|Verbatim)\}(.*?)\\end\{\1\}", re.DOTALL)
DROPPED = re.compile(
    r"\\begin\{(figure|table|tabular|tikzpicture|picture|thebibliography|comment|filecontents)(\*?)\}"
    r".*?\\end\{\1\2\}",
    re.DOTALL,
)
GROUP = r"\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\}){0,9999})\}"  # two levels of braces inside
INPUT = re.compile(r"\\(?:input|include|subfile)(?![A-Za-z])[ \t]*(?:\{\s*([^{}]+?)\s*\}|([\w./-]+))")
DEFINITION = re.compile(
    r"\\(?:(?:re)?newcommand|providecommand|DeclareMathOperator|DeclareRobustCommand)\*?\s*(?:\{\s*\\[^{}]*\}|\\[A-Za-z@]+)"
    rf"\s*(?:\[[^\]]*\]\s*)*{GROUP}"
    rf"|\\(?:re)?newenvironment\*?\s*\{{[^{{}}]*\}}\s*(?:\[[^\]]*\]\s*)*{GROUP}\s*{GROUP}"
    rf"|\\newtheorem\*?\s*\{{[^{{}}]*\}}\s*(?:\[[^\]]*\])?\s*{GROUP}(?:\[[^\]]*\])?"
    rf"|\\[gex]?def\s*\\[A-Za-z@]+[^{{}}\n]*{GROUP}"
)
SECTION = re.compile(r"\\(?:part|chapter|(?:sub)*section|(?:sub)?paragraph)\*?\s*(?:\[[^\]]*\])?\s*" + GROUP)
ITEM = re.compile(r"\\item\b\s*(?:\[([^\]]*)\])?[ \t]*")
SILENT = (
    "label|cite[a-z]*|ref|eqref|pageref|autoref|cref|Cref|bibliography|bibliographystyle|input|include|index|"
    "vspace|hspace|usepackage|documentclass|newcommand|renewcommand|providecommand|setlength|includegraphics|pagestyle|"
    "thispagestyle|hypersetup|setcounter|addtocounter|addcontentsline|nocite|date|author|title|thanks|color"
)
ACCENTS = {
    "'": "\u0301",
    "`": "\u0300",
    "^": "\u0302",
    '"': "\u0308",
    "~": "\u0303",
    "=": "\u0304",
    ".": "\u0307",
    "c": "\u0327",
    "v": "\u030c",
    "u": "\u0306",
    "H": "\u030b",
    "k": "\u0328",
    "r": "\u030a",
}
SIGNS = {
    "ss": "ß",
    "ae": "æ",
    "AE": "Æ",
    "oe": "œ",
    "OE": "Œ",
    "o": "ø",
    "O": "Ø",
    "l": "ł",
    "L": "Ł",
    "aa": "å",
    "AA": "Å",
    "i": "i",
    "ldots": "...",
    "dots": "...",
    "LaTeX": "LaTeX",
    "TeX": "TeX",
    "S": "§",
    "textbackslash": "\ue05c",
    "textasciitilde": "\ue07e",
    "par": "\n\n",
    "newline": "\n",
    "copyright": "©",
}
ESCAPED = "%&#_$"


def documents(archive: Archive, names: list[str], report: Report) -> Iterator[Document]:
    """One document per file that no main file takes in, or several of a long one."""
    takes: dict[str, list[str]] = {}
    mains: set[str] = set()
    for name, source in texts(archive, names, Report()):
        takes[name] = [target for _, target in inputs(source)]
        mains.update([name] if "\\documentclass" in source else [])
    inner = set().union(*(reached(main, takes) for main in mains))
    for name, source in texts(archive, [name for name in names if name not in inner], report):
        if name in mains:
            source = inlined(archive, source, name, name, takes, report, {name})
        source = source.replace("\r\n", "\n")
        title = re.search(r"\\title\s*(?:\[[^\]]*\])?" + GROUP, uncommented(source))
        yield from parts(prose(source), name, prose(title[1]).replace("\n", " ").strip() or None if title else None)


def inputs(source: str) -> Iterator[tuple[re.Match, str]]:
    """Every \\input that no comment hides, and what it names."""
    for match in INPUT.finditer(source):
        line = source[source.rfind("\n", 0, match.start()) + 1 : match.start()]
        if not re.search(r"(?<!\\)(?:\\\\)*%", line):
            yield match, match[1] or match[2]


def resolved(target: str, name: str, main: str, known: Container[str]) -> str | None:
    """The member that `target` in the file `name` means: from the main file's folder, else from its own."""
    for folder in (posixpath.dirname(main), posixpath.dirname(name)):
        for suffix in ("", ".tex"):
            found = posixpath.normpath(posixpath.join(folder, target + suffix))
            if found in known and found != main:
                return found
    return None


def reached(main: str, takes: dict[str, list[str]]) -> set[str]:
    """All files that a main file takes in, directly or not."""
    found, left = set(), [main]
    while left:
        name = left.pop()
        for target in takes[name]:
            part = resolved(target, name, main, takes)
            if part is not None and part not in found:
                found.add(part)
                left.append(part)
    return found


def inlined(
    archive: Archive, source: str, name: str, main: str, known: Container[str], report: Report, seen: set[str]
) -> str:
    """The source with the files that it takes in, each of them once: so neither circles nor bombs."""
    pieces, end = [], 0
    for match, target in inputs(source):
        part = resolved(target, name, main, known)
        if part is None or part in seen or len(seen) > 500:
            continue
        seen.add(part)
        inner = decode(archive.read(part), report)
        pieces += [source[end : match.start()], inlined(archive, inner, part, main, known, report, seen)]
        end = match.end()
    return "".join([*pieces, source[end:]])


def prose(source: str) -> str:
    """LaTeX to plain text with TeX formulas."""
    kept: list[str] = []

    def keep(text: str) -> str:
        kept.append(text)
        return f"\ue000{len(kept) - 1}\ue001"

    source = VERBATIM.sub(lambda match: keep(match[2].strip("\n")), source)
    source = uncommented(source)
    body = re.search(r"\\begin\{document\}(.*?)(?:\\end\{document\}|\Z)", source, re.DOTALL)
    text = body[1] if body else source
    text = DROPPED.sub("", DEFINITION.sub("", text))
    text = MATH.sub(lambda match: keep(without_labels(match[0])), text)
    text = plain_commands(text)
    return restored(re.sub(r"\n[ \t]*(?:\n[ \t]*)+", "\n\n", text), kept).strip()


def uncommented(source: str) -> str:
    """Without % comments; a line that was only a comment goes altogether."""
    source = re.sub(r"^[ \t]*%.*\n?", "", source, flags=re.MULTILINE)
    return re.sub(r"(?<!\\)((?:\\\\)*)%.*", r"\1", source)


def without_labels(formula: str) -> str:
    return re.sub(r"[ \t]*\\label\{[^{}]*\}", "", formula)


def plain_commands(text: str) -> str:
    text = re.sub(r"\\verb\*?([^\sA-Za-z])(.*?)\1", r"\2", text)
    text = re.sub(rf"\\([{ESCAPED}])", lambda match: chr(0xE100 + ord(match[1])), text)
    text = re.sub(r"\\([{}])", lambda match: chr(0xE100 + ord(match[1])), text)
    text = re.sub(r"\\(['`^\"~=.])\s*(?:\{(\\?[A-Za-z])\}|(\\?[A-Za-z]))", accented, text)
    text = re.sub(r"\\([cvuHkr])(?:\s*\{(\\?[A-Za-z])\}|\s+([A-Za-z]))", accented, text)
    text = re.sub(rf"\\(?:{SILENT})\*?(?:\s*\[[^\]]*\])*(?:\s*{GROUP})*", "", text)
    text = SECTION.sub(r"\n\n\1\n\n", text)
    text = ITEM.sub(lambda match: f"\n- {match[1] + ': ' if match[1] else ''}", text)
    text = re.sub(r"\\(?:begin|end)\s*\{[^{}]*\}(?:\[[^\]]*\])?", "\n", text)
    text = re.sub(rf"\\({'|'.join(SIGNS)})(?![A-Za-z])[ \t]*(?:\{{\}})?", lambda match: SIGNS[match[1]], text)
    text = re.sub(r"\\href\s*\{[^{}]*\}", "", text)
    for _ in range(4):  # nested arguments, innermost first
        text = re.sub(r"\\[A-Za-z@]+\*?\s*(?:\[[^\]]*\])?\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"\\\\(?:\[[^\]]*\])?", "\n", text)
    text = re.sub(r"\\[A-Za-z@]+\*?[ \t]?", "", text)
    text = re.sub(r"\\[,;:! /-]", lambda match: "" if match[0] in ("\\!", "\\/", "\\-") else " ", text)
    text = text.replace("~", " ").replace("``", "“").replace("''", "”").replace("---", "—").replace("--", "–")
    text = re.sub(r"[{}]", "", text)
    text = re.sub(r"[ \t]+([,.;])", r"\1", re.sub(r"[ \t]{2,}", " ", text))
    return re.sub(r"^[ \t]+|[ \t]+$", "", text, flags=re.MULTILINE)


def accented(match: re.Match) -> str:
    letter = (match[2] or match[3]).lstrip("\\")
    return unicodedata.normalize("NFC", letter + ACCENTS[match[1]])


def restored(text: str, kept: list[str]) -> str:
    """Put formulas, verbatim text and escaped signs back."""
    text = re.sub("[\ue100-\ue17f]", lambda match: chr(ord(match[0]) - 0xE100), text)
    text = text.replace("\ue05c", "\\").replace("\ue07e", "~")
    return re.sub("\ue000(\\d+)\ue001", lambda match: kept[int(match[1])], text)
