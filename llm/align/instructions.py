"""Derives instruction pairs from the clean documents: a question by template, the answer as its author wrote it.

The kinds are `definition` (a dictionary's entry for its headword), `passage` (a titled page's first paragraph),
`docstring` (a Python function -> what it does), `function` (what it does -> the function), and `continuation` (a
paragraph's beginning -> the rest of it, which any prose gives, even without titles and code). Nothing is generated and
no people were asked: the questions are templates, chosen by a hash of the pair's id. Limits are in characters, since no
tokenizer is used here.
"""

import ast
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from llm.align.counted import counted
from llm.align.settings.instructions import InstructionSettings, Kind, Limits
from llm.errors import InputError

QUESTIONS = {
    "definition": [
        'What does "{title}" mean?',
        'Define "{title}".',
        'What is the meaning of "{title}"?',
        'Give a definition of "{title}".',
    ],
    "passage": [
        "What is {title}?",
        "Tell me about {title}.",
        "Write an introduction to {title}.",
        "What can you say about {title}?",
    ],
    "docstring": [
        "What does this function do?\n\n{code}",
        "Write a docstring for this function:\n\n{code}",
        "Explain this Python function in a sentence or two.\n\n{code}",
    ],
    "function": [
        "Write the Python function {signature}\n{summary}",
        "Implement this in Python: {signature}\n{summary}",
        "{summary}\nComplete the Python function {signature}",
    ],
    "continuation": [
        "Continue this text:\n\n{beginning}",
        "How does this go on?\n\n{beginning}",
        "Complete the paragraph:\n\n{beginning}",
    ],
}
TITLED = ("definition", "passage")
PROSE = ("definition", "passage", "continuation")  # their questions are English, so their texts must be, too
EVERYWHERE = "*"
COLUMNS = ["id", "text", "title", "source"]
OVERSAMPLE = 3  # documents read per wanted pair: not every document yields one
CATEGORY = re.compile(r"^<[^<>]{1,40}> ")
SITE = re.compile(r" [-|–—] [^-|–—]+$")  # "strlen - cppreference.com"
SENTENCE_END = re.compile(r"(?<![\s.(][A-Za-z])[.!?][\"')\]”’]*(?=\s|$)")  # not after one letter: "J. Random", "e.g."


@dataclass(frozen=True)
class Document:
    id: str
    text: str
    title: str
    source: str


def instruction_pairs(clean: Path, split: str, counts: Mapping[Kind, int], settings: InstructionSettings) -> list[dict]:
    """Return pairs of one split, at most counts[kind] of each kind, spread over the documents by a hash of (seed, id).

    Raises InputError on an unknown kind. Returns rows {"id", "source", "kind", "messages"} in the order kind, hash.
    """
    kinds = settings.kinds
    unknown = sorted(set(kinds) - set(DERIVE))
    if unknown:
        raise InputError(f"align.instructions.kinds: unknown kind {unknown[0]!r}; known are {', '.join(DERIVE)}")
    uncounted = sorted(set(kinds) - set(counts))
    if uncounted:
        raise InputError(f"align.instructions: kind {uncounted[0]!r} has no count for the {split} split; add one")
    rows = []
    for kind in sorted(kinds):
        taken = []
        for document in documents(
            clean, split, kind, kinds[kind], OVERSAMPLE * counts[kind], settings.languages, settings.seed
        ):
            taken += DERIVE[kind](document, settings.limits)
            if len(taken) >= counts[kind]:
                break
        rows += taken[: counts[kind]]
    return rows


def held_out(rows: list[dict]) -> tuple[list[dict], list[dict]]:
    """Rows without a tenth of their documents, one at least, and the rows of these: by hash, so that nothing else
    decides. A single document's rows stay together, and the second list is empty."""
    names = sorted({row["id"].split("#")[0] for row in rows}, key=lambda name: order("held out", name))
    if len(names) < 2:
        return rows, []
    apart = set(names[: max(1, len(names) // 10)])
    split = [[row for row in rows if (row["id"].split("#")[0] in apart) is part] for part in (False, True)]
    return split[0], split[1]


def documents(
    clean: Path, split: str, kind: str, origins: list[str], count: int, languages: list[str], seed: int
) -> list[Document]:
    """Return the `count` documents of the split and origins with the smallest hashes of (seed, kind, id), in that
    order."""
    parts = sorted(clean.glob("*/part-*.parquet"))
    if not parts:
        raise InputError(f"{clean} holds no <source>/part-*.parquet: build the target clean_shards first")
    wanted = pl.col("split") == split
    if EVERYWHERE not in origins:
        wanted &= pl.col("source").is_in(origins) | pl.col("domain").is_in(origins)
    if kind in TITLED:
        wanted &= pl.col("title").is_not_null()
    if kind in PROSE:
        wanted &= pl.col("language").is_in(languages)
    keyed = [
        (order(seed, kind, name), name, part)
        for part in parts
        for name in pl.scan_parquet(part).filter(wanted).select("id").collect()["id"]
    ]
    chosen = sorted(keyed)[:count]
    found: dict[str, Document] = {}
    for part in sorted({part for _, _, part in chosen}):
        names = [name for _, name, where in chosen if where == part]
        frame = pl.scan_parquet(part).filter(pl.col("id").is_in(names)).select(COLUMNS).collect()
        found |= {row["id"]: Document(**{**row, "title": row["title"] or ""}) for row in frame.iter_rows(named=True)}
    return [found[name] for _, name, _ in chosen]


def order(*parts: object) -> int:
    """Return a stable hash to sort by."""
    return counted(*parts, size=8)


def pair(document: Document, kind: str, part: str, answer: str, limits: Limits, **fields: str) -> list[dict]:
    """Return the finished row in a list, which is empty if the row breaks a limit."""
    name = f"{document.id}#{kind}{part}"
    choices = QUESTIONS[kind]
    question = choices[order("question", name) % len(choices)].format(**fields)
    if not limits.min_answer <= len(answer) <= limits.max_answer or len(question) > limits.max_prompt:
        return []
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return [{"id": name, "source": document.source, "kind": kind, "messages": messages}]


def definition(document: Document, limits: Limits) -> list[dict]:
    """Make a pair of a dictionary entry: its first paragraph that is more than a part of speech, without a category in
    brackets."""
    title, paragraphs = opened(document)
    for paragraph in paragraphs:
        text = CATEGORY.sub("", unwrap(paragraph))
        if len(text) >= limits.min_answer:
            return pair(document, "definition", "", opening(text, limits), limits, title=title)
    return []


def passage(document: Document, limits: Limits) -> list[dict]:
    """Make a pair of a page's first paragraph of prose: long enough, ends like a sentence, mostly letters."""
    title, paragraphs = opened(document)
    title = SITE.sub("", title)
    for paragraph in paragraphs:
        text = unwrap(paragraph)
        if len(text) >= limits.min_answer and SENTENCE_END.search(text[-3:]) and mostly_letters(text):
            return pair(document, "passage", "", opening(text, limits), limits, title=title)
    return []


def continuation(document: Document, limits: Limits) -> list[dict]:
    """Make a pair of the first paragraph of prose that can be cut in two at a sentence's end near its middle."""
    for paragraph in re.split(r"\n\s*\n", document.text):
        text = unwrap(paragraph)
        if len(text) < 3 * limits.min_answer or not mostly_letters(text):
            continue
        text = opening(text, limits)
        ends = [match.end() for match in SENTENCE_END.finditer(text[:-1])]
        if ends:
            middle = nearest(ends, len(text) / 2)
            answer = text[middle:].strip()
            return pair(document, "continuation", "", answer, limits, beginning=text[:middle])
    return []


def nearest(positions: list[int], wanted: float) -> int:
    """Return the position that is closest to the wanted one; of two the first."""
    return min(positions, key=lambda position: abs(position - wanted))


def opened(document: Document) -> tuple[str, list[str]]:
    """Return the title and the paragraphs under it.

    A first line with which the title begins is taken as the title, without the site's name behind it.
    """
    title, text = document.title.strip(), document.text.lstrip()
    first, _, rest = text.partition("\n")
    if first.strip() and title.casefold().startswith(first.strip().casefold()):
        title, text = first.strip(), rest
    return title, re.split(r"\n\s*\n", text)


def unwrap(text: str) -> str:
    """Join hard-wrapped lines to one line, and runs of white space to one space."""
    return " ".join(text.split())


def opening(text: str, limits: Limits) -> str:
    """Return as many whole sentences from the start as fit max_answer; "" if not even one does."""
    if len(text) <= limits.max_answer:
        return text
    ends = [match.end() for match in SENTENCE_END.finditer(text, 0, limits.max_answer)]
    return text[: ends[-1]] if ends else ""


def mostly_letters(text: str) -> bool:
    """Is it prose, at least three quarters letters and spaces, and not a table or a listing?"""
    return sum(character.isalpha() or character == " " for character in text) >= 0.75 * len(text)


def docstring(document: Document, limits: Limits) -> list[dict]:
    """Make a pair of each documented function: its code without the docstring -> the docstring's first paragraph."""
    rows = []
    for function in functions(document.text):
        rows += pair(document, "docstring", f":{function.name}", function.summary, limits, code=function.code)
    return rows


def function(document: Document, limits: Limits) -> list[dict]:
    """Make a pair of each documented function: its signature and summary -> its code without the docstring."""
    rows = []
    for found in functions(document.text):
        fields = {"signature": found.signature, "summary": found.summary}
        rows += pair(document, "function", f":{found.name}", found.code, limits, **fields)
    return rows


@dataclass(frozen=True)
class Function:
    """A documented function. name: with its line, to be unique; code: without docstring, dedented; summary: the
    docstring's first paragraph."""

    name: str
    signature: str
    code: str
    summary: str


def functions(text: str) -> Iterator[Function]:
    """Yield the documented functions of a Python file, in order; none if this version of Python cannot parse the
    text."""
    if "def " not in text or ('"""' not in text and "'''" not in text):
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other people's code may have invalid escapes
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last: of what is nested too deep
        return  # it may be another language or another Python
    lines = text.split("\n")
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef) or len(node.body) < 2 or not (said := ast.get_docstring(node)):
            continue
        if node.body[0].col_offset == len(lead(lines[node.body[0].lineno - 1])):  # it has a line of its own
            yield read_function(node, said, lines)


def lead(line: str) -> str:
    """Return the blanks that a line begins with."""
    return line[: len(line) - len(line.lstrip())]


def read_function(node: ast.FunctionDef, documentation: str, lines: list[str]) -> Function:
    """Cut one function out of its file, without its decorators."""
    first, last = node.body[0].lineno - 1, node.body[0].end_lineno
    kept = lines[node.lineno - 1 : first] + lines[last : node.end_lineno]
    code = textwrap.dedent("\n".join(line.rstrip() for line in kept)).strip("\n")
    signature = " ".join(" ".join(lines[node.lineno - 1 : first]).split()).removeprefix("def ").rstrip(":")
    summary = unwrap(re.split(r"\n\s*\n", documentation.strip())[0])
    return Function(f"{node.name}@{node.lineno}", signature, code, summary)


DERIVE: dict[str, Callable[[Document, Limits], list[dict]]] = {
    "continuation": continuation,
    "definition": definition,
    "docstring": docstring,
    "function": function,
    "passage": passage,
}
