"""Main content of saved web pages, marked by eye: which lines of a page's whole text are it, in html_marks.json.

Pages themselves are never committed; packages ship them (benchmarks/html_pages.py fetches these). Lines are those
of all text of the page, visible or not, in order, numbered from 1, empty ones left out. For each page two sets of
them: what a reader came for (paragraphs, headings, lists, tables, quotations of the main content), and what one may
give or not: the headline, the lines around it (standfirst, author, date), captions, embedded posts, notes on the author
and the agency, tags. All else is wrong: navigation, teasers, dialogs, readers' comments, advertisements. Pages without
a main text (home pages, videos, logins) and copies are not in the file. 29 November 2026, each page read whole; a
second reading of 17 pages agrees at F1 .988.

To mark others: print `lines` of a page with numbers, read it whole, write down the ranges.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

MARKS = Path(__file__).parent / "html_marks.json"
LOOKED_AT = {"test_tags_cnet.html"}  # after it had been held out


@dataclass(frozen=True)
class Marks:
    """Of one page: the numbers of the lines that are its content, and of those that may be."""

    text: frozenset[int]
    either: frozenset[int]

    def of(self, markup: str) -> tuple[str, str]:
        """The page's content, and the content with all that may be."""
        all_lines = lines(markup)
        content = [all_lines[number - 1] for number in sorted(self.text)]
        return "\n".join(content), "\n".join(all_lines[number - 1] for number in sorted(self.text | self.either))


def marks(name: str, *, unseen: bool = False) -> dict[str, Marks]:
    """The marked pages of a set by their file's name; `unseen`: only those that nobody has looked at for the rules of
    extraction, a quarter of them by the hash of the name."""
    pages = json.loads(MARKS.read_text("utf-8"))[name]
    return {
        file: Marks(numbers(text), numbers(either))
        for file, (text, either) in pages.items()
        if not unseen or is_unseen(file)
    }


def is_unseen(file: str) -> bool:
    first, second = hashlib.sha256(file.encode()).digest()[:2]
    return first % 2 == 1 and second % 2 == 1 and file not in LOOKED_AT


def numbers(ranges: str) -> frozenset[int]:
    """Numbers of "3-5,9"."""
    ends = [part.split("-") for part in ranges.split(",") if part]
    return frozenset(number for end in ends for number in range(int(end[0]), int(end[-1]) + 1))


def lines(markup: str) -> list[str]:
    """All lines of a page's text that are not empty, blanks collapsed."""
    text = extract_plain_text(
        HTMLTree.parse(markup),
        preserve_formatting=True,
        main_content=False,
        list_bullets=False,
        alt_texts=False,
        links=False,
        form_fields=False,
        noscript=False,
    )
    return [line for line in (" ".join(line.split()) for line in text.split("\n")) if line]
