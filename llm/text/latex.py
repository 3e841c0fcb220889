"""LaTeX sources to text: equations are kept as they are written, the markup of prose becomes plain.

Comments, the preamble, figures, tables, labels and citations are dropped. Macros are not expanded: an unknown command
with an argument keeps the argument, one without disappears. A file without \\begin{document} is taken as a chapter.
"""

import re
import unicodedata
from collections.abc import Iterator

from llm.text.archive import Archive
from llm.text.decode import decode
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
GROUP = r"\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}"  # two levels of braces inside
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
    """One document per file, or several of a long one."""
    for name in names:
        source = decode(archive.read(name), report).replace("\r\n", "\n")
        title = re.search(r"\\title\s*(?:\[[^\]]*\])?" + GROUP, uncommented(source))
        yield from parts(prose(source), name, prose(title[1]).replace("\n", " ").strip() or None if title else None)


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
    text = DROPPED.sub("", text)
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
