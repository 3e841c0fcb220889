"""Fuzzing of the readers of text formats: pieces of markup, pieces of real files put together anew, and bytes gone bad.

Whatever comes in, documents come out, or an InputError of one line; twice the same; in bounded CPU time; without the
marks that a reader puts in for itself. What once failed stands in past_failures.py.
"""

import json
import re
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.collect.documents import Document, Report
from llm.errors import InputError
from tests.llm.collect.formats.past_failures import PAST_FAILURES
from tests.llm.collect.formats.test_epub import CHAPTER
from tests.llm.collect.formats.test_latex import PAPER
from tests.llm.collect.formats.test_linear import LATEX, MARKUP
from tests.llm.collect.formats.test_markup import RST, WIKI, WIKITEXT
from tests.llm.collect.samples import FORMATS

EXAMPLES = 60  # of each format
SECONDS = 5.0  # of CPU for a text of some kilobytes: hundreds of times what the slowest takes
MARKS = re.compile("[\ud800-\udfff]")
PIECES = sorted(
    {*LATEX, *MARKUP, "a", "word ", "Word.", "\n\n", "1", "é", "日本", "\x00", "\r\n", "\ufeff", "\u2028", "😀"}
)
REAL = {
    "latex": PAPER, "rst": RST, "mediawiki": WIKITEXT, "mediawiki, raw": WIKI.replace("%s", "'''A''' [[b]]"),
    "stackexchange": "<p>How <code>x</code>?</p><pre><code>a < b\n</code></pre>", "epub": CHAPTER,
    "stackexchange, raw": '<posts>\n<row Id="1" PostTypeId="1" Title="t" Body="q"/>\n<row Id="2" PostTypeId="2" '
    'ParentId="1" Body="a"/>\n</posts>', "dict": "word\n   /w/ n.\n\n   A {reference}.\n",
    "dict, index": "a\tA\tK\nb\tK\tE\n",
    "jsonl": "text", "jsonl, raw": '{"text": "one"}\n{"text": "two", "url": "x"}\n', "code": "#!/bin/sh\necho 1\n",
    "text": "*** START OF THE PROJECT GUTENBERG EBOOK A ***\nACT I\n\nText.\n*** END OF THE PROJECT GUTENBERG",
}  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=80).map("".join)


def cut_up(text: str) -> st.SearchStrategy[str]:
    """Parts of a real text, in any order, with markup between."""
    parts = st.tuples(st.integers(0, len(text)), st.integers(0, 60)).map(lambda part: text[part[0] : sum(part)])
    return st.lists(parts | st.sampled_from(PIECES), max_size=30).map("".join)


def damaged(text: str) -> st.SearchStrategy[str]:
    """A real text with some of its characters gone, doubled or replaced."""
    places = st.lists(st.tuples(st.integers(0, len(text)), st.integers(0, 9), st.text(max_size=3)), max_size=6)

    def apply(changes: list[tuple[int, int, str]]) -> str:
        changed = text
        for at, gone, new in changes:
            changed = changed[:at] + new + changed[at + gone :]
        return changed

    return places.map(apply)


def read(format: str, text: str) -> tuple[list[Document], Report] | None:
    """The documents, or None where an error says in one line why there are none."""
    report = Report()
    begin = time.thread_time()
    try:
        found = FORMATS[format](text, report)
    except InputError as error:
        assert str(error).isprintable()
        return None
    finally:
        assert time.thread_time() - begin < SECONDS
    return found, report


def check(format: str, text: str) -> None:
    found = read(format, text)
    assert found == read(format, text)
    for document in found[0] if found else []:
        assert isinstance(document.text, str)
        assert not MARKS.search(document.text + (document.title or "")) or MARKS.search(text)


@pytest.mark.parametrize("format", FORMATS)
def test_any_text(format: str) -> None:
    @settings(max_examples=EXAMPLES, deadline=None)
    @given(TEXTS | cut_up(REAL[format]) | damaged(REAL[format]))
    def fuzz(text: str) -> None:
        check(format, text)

    fuzz()


@pytest.mark.parametrize("format", FORMATS)
def test_past_failures(format: str) -> None:
    for text in PAST_FAILURES:
        check(format, text)


JSON_LINES = ['{"text": "a"}', '{"text": null}', "{", "1", '{"text": 2}', "\ud800", "[" * 9999, ""]


@given(st.lists(st.sampled_from(JSON_LINES)))
def test_every_line_of_json_is_a_document_or_counted(lines: list[str]) -> None:
    found, report = read("jsonl, raw", "\n".join(lines))
    assert len(found) + sum(report.skipped.values()) == sum(map(bool, lines))


# ---- no prose of LaTeX is lost

SILENT = [
    r"\label{x}", r"\cite{k}", r"\hspace{1em}", r"\color{red}", "$x_1$", "\n\n", "% note\n", r"\noindent", "~", r"\foo",
    r"\index{x}", r"\vspace*{2pt}", r"\[ y \]", r"\includegraphics[width=1cm]{a.pdf}", "{}",
]  # fmt: skip
AROUND = [
    r"{\bf %s}", r"\emph{%s}", r"\unknown{%s}", r"\textcolor{red}{%s}", r"\footnote{%s}", r"{%s}", r"\section{%s}",
    r"\section*{%s}\label{a}", r"\href{http://x}{%s}", r"\own{%s}", r"\twice[o]{%s}", r"\caption{%s}", r"\iftrue %s\fi",
    r"\begin{itemize}\item %s\end{itemize}", r"\begin{quote}%s\end{quote}", r"\begin{x}%s\end{x}",
    r"\parbox{2cm}{%s}", r"\begin{tabular}{l|r}%s & \\ \end{tabular}", r"\begin{figure}[t]%s\end{figure}",
    r"\begin{minipage}{.4\textwidth}%s\end{minipage}",
]  # fmt: skip
ARGUMENT = st.deferred(lambda: st.lists(ELEMENT, max_size=4).map(" ".join))
ELEMENT = st.one_of(
    st.just("@"),  # stands for a word
    st.sampled_from(SILENT),
    st.tuples(st.sampled_from(AROUND), ARGUMENT).map(lambda pair: pair[0].replace("%s", pair[1])),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(ELEMENT, max_size=12).map(" ".join))
def test_every_word_of_latex_stays(source: str) -> None:
    words = iter(range(10**6))
    source = re.sub("@", lambda _: f" word{next(words)}x ", source)
    definitions = r"\newcommand{\own}[1]{\textbf{#1}}\newcommand{\twice}[2][a]{\own{\emph{#2}}}"
    found, _ = read("latex", definitions + source)
    text = "\n".join(document.text for document in found)
    assert Counter(re.findall(r"word\d+x", text)) == Counter(re.findall(r"word\d+x", source))


@given(TEXTS)
def test_a_json_text_comes_out_as_it_went_in(text: str) -> None:
    (document,) = FORMATS["jsonl"](text, Report())
    assert document.text == json.loads(json.dumps(text))
