"""Numbers as LaTeX gives them to sections, formulas, figures, tables, theorems and items, so that references can say
them. Knows the usual document classes: what a class or package numbers otherwise gets a number all the same, maybe not
the one in print. A reference to what has no label is `??`, as in print.
"""

import re
from dataclasses import dataclass, field

from llm.collect.formats.tex.commands import ROWS

WITHIN = {"section": "chapter", "subsection": "section", "subsubsection": "subsection"}
DEEPEST = 5
UNKNOWN = "??"
LABEL = re.compile(r"(?:(?<![ \t])[ \t]++)?\\label[ \t]*\{([^{}]*)\}")
ROW_TOKEN = re.compile(
    r"\\(?:(begin)(?![A-Za-z])|(end)(?![A-Za-z])|(\\)|label[ \t]*\{([^{}]*)\}|(nonumber|notag)(?![A-Za-z])"
    r"|tag\*?[ \t]*\{([^{}]*)\}|.)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Target:
    """What a label stands for: its number as printed, and the word for it ("section", "figure", "equation")."""

    number: str
    kind: str


@dataclass
class Numbers:
    """Counters and labels of one document. `current` is what a label would take now. `chaptered`: the class has
    chapters, and its figures, tables and formulas count within them."""

    chaptered: bool
    appendix: bool = False
    current: Target = Target(UNKNOWN, "section")
    labels: dict[str, Target] = field(default_factory=dict)
    title: str = ""  # of the section that began last, as written
    titles: dict[str, str] = field(default_factory=dict)  # label -> the title of its section
    within: dict[str, str] = field(default_factory=lambda: dict(WITHIN))
    values: dict[str, tuple[str, int]] = field(default_factory=dict)

    def step(self, counter: str, kind: str = "") -> str:
        """Count one up. Returns the number as it is printed."""
        outer = self.outer(counter, 0)
        before, value = self.values.get(counter, (outer, 0))
        self.values[counter] = (outer, value + 1 if before == outer else 1)
        self.current = Target(self.printed(counter, 0), kind or counter)
        return self.current.number

    def number_part(self, kind: str) -> None:
        """Number a part of the float that comes next: 3b."""
        outer = self.outer(kind, 0)
        before, value = self.values.get(kind, (outer, 0))
        whole = f"{outer}{value + 1 if before == outer else 1}"
        of, part = self.values.get("part of a float", ("", 0))
        part = part + 1 if of == whole + kind else 1
        self.values["part of a float"] = whole + kind, part
        self.current = Target(f"{whole}{letter(part).lower()}", kind)

    def outer(self, counter: str, depth: int) -> str:
        """Return the printed number of what the counter counts within, with a full stop; '' if it is within nothing."""
        parent = self.within.get(counter)
        if parent is None and self.chaptered and counter in ("figure", "table", "equation"):
            parent = "chapter"
        if parent in (None, "document") or (parent == "chapter" and not self.chaptered) or depth > DEEPEST:
            return ""
        return f"{self.printed(parent, depth + 1)}."

    def printed(self, counter: str, depth: int) -> str:
        outer = self.outer(counter, depth)
        before, value = self.values.get(counter, (outer, 0))
        value = value if before == outer else 0
        top = "chapter" if self.chaptered else "section"
        return f"{outer}{letter(value) if self.appendix and counter == top else value}"

    def start_appendix(self) -> None:
        self.appendix = True
        self.values.pop("chapter" if self.chaptered else "section", None)

    def label(self, name: str) -> None:
        self.labels.setdefault(name.strip(), self.current)
        self.titles.setdefault(name.strip(), self.title)

    def number_formula(self, name: str, content: str) -> None:
        """Count a formula's rows and note the labels in it. `name`: its environment."""
        rows = name in ROWS
        if not (rows or name in ("equation", "multline", "dmath")) and "\\label" in content:
            for label in LABEL.findall(content):
                self.label(label)
        if not (rows or name in ("equation", "multline", "dmath")):
            return
        before, depth, tag, numbered = self.current, 0, None, True
        labels: list[str] = []
        for match in ROW_TOKEN.finditer(content):
            begin, end, row, label, unnumbered, given = match.groups()
            depth += bool(begin) - bool(end)
            if row and rows and depth <= 0:
                self.number_row(labels, tag, numbered)
                labels, tag, numbered = [], None, True
            elif label is not None:
                labels.append(label)
            elif unnumbered:
                numbered = False
            tag = given if given is not None else tag
        self.number_row(labels, tag, numbered)
        self.current = before

    def number_row(self, labels: list[str], tag: str | None, numbered: bool) -> None:
        if tag is not None:
            self.current = Target(tag, "equation")
        elif numbered:
            self.step("equation")
        for label in labels:
            self.label(label)

    def reference(self, command: str, names: str) -> str:
        r"""Return what \ref{names} and its kin print."""
        targets = [self.labels.get(name.strip(), Target(UNKNOWN, "")) for name in names.split(",")]
        numbers = [f"({target.number})" if target.kind == "equation" else target.number for target in targets]
        match command:
            case "ref" | "vref" | "pageref" | "labelcref" | "zref":
                return ", ".join(target.number for target in targets)
            case "eqref":
                return ", ".join(f"({target.number})" for target in targets)
        kind = targets[0].kind  # \autoref, \cref, \Cref and their kin
        kind = f"{kind}s" if len(targets) > 1 and kind else kind
        kind = kind if command.startswith(("cref", "vref")) else kind.capitalize()
        return f"{kind} {', '.join(numbers)}".strip()


def letter(value: int) -> str:
    return chr(64 + value) if 1 <= value <= 26 else str(value)


def without_labels(formula: str) -> str:
    return LABEL.sub("", formula)
