"""TeX source to text, in one pass: prose without its markup, formulas and verbatim text as written.

What is done with a command stands in the tables of commands.py and in the modules that handlers.py names. A command
that nothing is known of loses its name and keeps its braces' text. Macros expand within a budget; time and memory are
proportional to the source.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from llm.collect.formats.tex import acronyms, conditionals, formulas, macros, prose
from llm.collect.formats.tex.commands import ACCENTS, ENVIRONMENTS, FLOATS, SHORTHANDS, SYMBOLS, Environment
from llm.collect.formats.tex.handlers import COMMANDS, Handler
from llm.collect.formats.tex.layout import CELL, CLOSE, OPEN, finished, rows
from llm.collect.formats.tex.numbers import Numbers, Target
from llm.collect.formats.tex.source import PIECE, PIECE_OF_STYLE, Source

COMMENT = re.compile(r"[^\n]*+\n?[ \t]*+")
AT = re.compile(r"\\[A-Za-z]{0,40}@[A-Za-z]")  # in a macro that was written where @ was a letter
MOST_ENDINGS = 50
BUDGET, BUDGET_PER_CHARACTER = 100_000, 20
FEW_STEPS, MOST_STEPS = 2_000, 20_000


@dataclass
class State:
    """What environments change until they end. `float`: figure, table, ... or ''; `is_part`: within one of its parts;
    `lists`: the items counted in each list that is open, -1 where they have no numbers; `tables`: how many are open."""

    float: str = ""
    is_part: bool = False
    lists: list[int] = field(default_factory=list)
    tables: int = 0


@dataclass(frozen=True)
class Opened:
    """An environment that is open: where its output begins, and what is as before when it ends."""

    name: str
    begin: int
    current: Target
    float: str
    is_part: bool
    lists: int
    tables: int


class Scanner:
    """A reader of sources, one after the other. What it learns of macros, environments and labels stays for the next
    one."""

    def __init__(
        self, size: int, switches: Sequence[str], unexpanded: Collection[str] = (), *, chaptered: bool, expanding: bool
    ) -> None:
        self.commands = dict(COMMANDS)
        self.environments: dict[str, Environment | macros.UserEnvironment] = dict(ENVIRONMENTS)
        self.macros: dict[str, macros.Macro] = {}
        self.labelling: dict[str, str] = {}  # macro -> its body, of those that set a label
        self.aliases: dict[str, tuple[str, Handler]] = {}  # by \let: the command that is meant
        self.theorems: dict[str, str] = {}  # environment -> its counter
        self.verbatim: set[str] = set()  # environments that the document made for verbatim text
        self.endings: dict[str, list[str]] = {}  # environment -> patterns of macros that end it
        self.patterns: dict[str, re.Pattern[str]] = {}
        self.switches = dict.fromkeys(switches, False)
        self.tests = {*conditionals.TESTS, *switches}
        self.numbers = Numbers(chaptered)
        self.cited: dict[str, int] = {}
        self.acronyms: dict[str, acronyms.Acronym] = {}
        self.authors: dict[str, tuple[str, str]] = {}
        self.budget = BUDGET + BUDGET_PER_CHARACTER * size  # characters that macros may expand into
        self.title: str | None = None
        self.expanding, self.learning = expanding, False
        self.unexpanded = unexpanded
        self.steps, self.before = 0, 0  # macros expanded while the text itself was not read on, and how far it was read
        self.most_steps = min(MOST_STEPS, FEW_STEPS + size // 4)  # a text may be a macro's argument as a whole
        if len(unexpanded) > 1:  # a document of several that have no end is no such text
            self.most_steps = FEW_STEPS
        self.piece = PIECE
        for name in switches:
            self.commands |= {name: conditionals.test, f"{name[2:]}true": conditionals.switch}
            self.commands[f"{name[2:]}false"] = conditionals.switch
        for name, environment in SHORTHANDS.items():
            macros.define(self, name, macros.Macro(f"\\begin{{{environment}}}"))
            macros.define(self, f"e{name[1:]}", macros.Macro(f"\\end{{{environment}}}"))

    def read(self, text: str, *, preamble: bool = False, notes: bool = True, german: bool = False) -> str:
        r"""Return the text of a source. `preamble`: what stands before \begin{document} is none. `notes`: keep
        footnotes."""
        self.start(text)
        self.preamble, self.notes = preamble, notes
        self.run()
        while self.opened:
            self.leave(self.opened[-1].name)
        return finished("".join(self.out), self.kept, german=german)

    def learn(self, style: str) -> None:
        """Take the simple definitions of a style file; its text does not count."""
        self.start(style)
        macros.at_letter(self, "")
        self.learning = True
        self.run()
        self.learning = False

    def start(self, text: str) -> None:
        self.source = Source(text, self.piece)
        self.outer: list[Source] = []
        self.preamble = self.notes = False
        self.out: list[str] = []
        self.kept: list[str | Callable[[], str]] = []
        self.groups: list[str] = []  # what to write where each group that is open closes
        self.abstracts: list[str] = []  # those before the document begins
        self.opened: list[Opened] = []
        self.counts: Counter[str] = Counter()  # of environments that are open, by name
        self.state = State()
        self.examples = 0  # documents that began within the document: examples, or papers that it takes in

    def run(self) -> None:
        commands = self.commands
        while True:
            source, out = self.source, self.out
            match = source.piece(source.text, source.position)
            assert match is not None  # it matches anything
            plain, name, char, symbol = match.groups()
            source.position = match.end()
            if plain:
                out.append(plain)
            if name:
                handler = commands.get(name)
                if handler is None:
                    prose.unknown(self, name)
                else:
                    handler(self, name)
            elif char:
                if char == "{":
                    self.groups.append("")
                elif char == "}":
                    if self.groups:
                        out.append(self.groups.pop())
                elif char == "$":
                    formulas.shift(self)
                elif char == "%":
                    self.comment(plain)
                elif char == "&":
                    self.cell("&")
                else:
                    prose.as_it_is(self, char)
            elif symbol is not None:
                self.symbol(symbol)
            elif self.outer:
                self.source = self.outer.pop()
            else:
                return

    def symbol(self, symbol: str) -> None:
        """Read a command of one character that is no letter."""
        if symbol == "\\":
            prose.row_end(self, symbol)
        elif symbol in ("(", "["):
            formulas.bracket(self, symbol)
        elif symbol in (">", "=") and self.counts["tabbing"]:
            self.cell(" ")
        elif symbol in self.macros:
            macros.expand(self, symbol)
        elif symbol == ";" and self.state.float == "algorithm":
            self.out.append("\n")
        elif symbol in ACCENTS:
            prose.accent(self, symbol)
        else:
            self.out.append(SYMBOLS.get(symbol, ""))

    def cell(self, otherwise: str) -> None:
        """End a table's cell; of a table within a cell only the words count."""
        tables = self.state.tables
        self.out.append(otherwise if not tables else CELL if tables == 1 else " ")

    def comment(self, before: str) -> None:
        """Read past a comment. It takes the end of its line with it, and the blanks that begin the next one. Where a
        blank stands before it, the line's end is as good as that blank."""
        source = self.source
        match = COMMENT.match(source.text, source.position)
        assert match is not None  # it matches anything
        source.position = end = match.end()
        if source.text.startswith("\n", end) or (before[-1:] in (" ", "\t") and before.strip(" \t")[-1:] != "\n"):
            self.out.append("\n")

    # ---- for the handlers

    def here(self) -> Source:
        """Return the source to read arguments from: macros that are read to their end are left."""
        while self.outer and self.source.position >= len(self.source.text):
            self.source = self.outer.pop()
        return self.source

    def push(self, text: str) -> None:
        """Read `text` first, then go on. Beyond the budget it raises EndlessError, or does nothing where no macro is
        expanded."""
        self.budget -= len(text) + 16
        if self.budget >= 0:
            self.outer.append(self.source)
            self.source = Source(text, PIECE_OF_STYLE if AT.search(text) else self.piece)
        elif self.expanding:
            raise macros.EndlessError

    def keep(self, piece: str | Callable[[], str]) -> None:
        """Write a piece as it is, past all that is done to prose."""
        self.out.append(f"{OPEN}{len(self.kept)}{CLOSE}")
        self.kept.append(piece)

    def block(self, span: tuple[int, int]) -> None:
        """Make what is within braces a paragraph of its own."""
        self.source.position = span[0]
        self.groups.append("\n\n")
        self.out.append("\n\n")

    def start_document(self) -> None:
        """Forget what was read so far: it was the preamble."""
        if not self.preamble:
            return
        abstracts = self.abstracts
        self.preamble, self.out, self.groups, self.opened, self.state = False, [], [], [], State()
        self.counts.clear()
        for abstract in reversed(abstracts):
            self.push(f"{abstract}\n\n")

    def stop(self) -> None:
        """Read no more."""
        self.outer = []
        self.source.position = len(self.source.text)

    def enter(self, name: str) -> None:
        """Begin an environment."""
        state = self.state
        saved = self.numbers.current, state.float, state.is_part, len(state.lists), state.tables
        self.opened.append(Opened(name, len(self.out), *saved))
        self.counts[name] += 1
        state.float = FLOATS.get(name, state.float)
        state.is_part = state.is_part or name in ("subfigure", "subtable")

    def leave(self, name: str) -> bool:
        """End an environment and those in it that were forgotten. Returns False if it is not open."""
        state = self.state
        while self.counts[name]:
            opened = self.opened.pop()
            self.counts[opened.name] -= 1
            if state.tables and not opened.tables:
                self.out[opened.begin :] = ["\n\n", rows("".join(self.out[opened.begin :])), "\n\n"]
            self.numbers.current, state.float, state.is_part = opened.current, opened.float, opened.is_part
            state.tables = opened.tables
            del state.lists[opened.lists :]
            if opened.name == name:
                return True
        return False

    def add_ending(self, environment: str, pattern: str) -> None:
        """Remember a macro or environment that ends another environment."""
        if sum(map(len, self.endings.values())) < MOST_ENDINGS:
            self.endings.setdefault(environment, []).append(pattern)
            self.patterns.pop(environment, None)

    def ending(self, environment: str) -> re.Pattern[str]:
        r"""Return what ends an environment: its \end, or a macro that holds that."""
        if environment not in self.patterns:
            own = rf"\\end[ \t]*\{{[ \t]*{re.escape(environment)}[ \t]*\}}"
            self.patterns[environment] = re.compile("|".join([own, *self.endings.get(environment, [])]))
        return self.patterns[environment]
