"""No text of any format takes more than time proportional to its length: whatever is opened in it and never closed."""

import contextlib
import re
import time
from collections.abc import Callable

import pytest

from llm.collect import documents, licenses
from llm.collect.documents import Report
from llm.collect.formats import character_references, plain_text
from llm.errors import InputError
from llm.process.pii import person_names
from tests.llm.collect.formats.linear import ENOUGH_S, assert_linear
from tests.llm.collect.samples import FORMATS
from tests.llm.process.pii import whole_text

LATEX = [
    r"\begin{frame}", r"\documentclass{beamer}\item<1", r"\frametitle<1->{a}\alt{", r"\begin{frame}\begin{verbatim}",
    "{", "}", "[", "]", "$", "$$", "\\(", "\\[", "%", "\\\\", "&", "~", "#", "`", "\n", " ", "\t \n", "a %\n",
    "$ { ", "{$",
    *(rf"\begin{{{name}}}" for name in ("equation", "verbatim", "tabular", "itemize", "figure", "comment", "nothing")),
    r"\verb|", r"\verb|a ", r"\item[", r"\footnote{", r"\cite[", r"\foo[", r"\foo{", r"\section{",
    r"\caption{", r"\\[",
    r"\end{x}", r"\begin{x}\end{y}", r"\iffalse ", r"\iftrue\else ", r"\def\a{", r"\newcommand{\a}[1]{#1}\a{",
    r"\item[\item[a]]", r"\(a ", r"\input{x} ", r"\cite{a}", r"(\cite{a}", r"\footnote{a\footnote{b}}", r"\ref{a} ",
    r"\begin{tabular}{l}a & \begin{tabular}{l}b\\", r"\def\a#1.{#1}\a", r"\label{a}", r"\'", r"\' ", r"\char`",
    r"\newtheorem{a}{A}\begin{a}", r"\newenvironment{a}{\begin{equation}}{\end{equation}}\begin{a}",
    r"\let\a\b\let\b\a", r"\begin{align}\\", r"\begin{equation}\begin{equation}", r"\begin{figure}\caption{a}",
    r"\MakeShortVerb{\|}|a ", r"\bibitem[{", r"\bibitem[a(1)]{b}", r"\usepackage{", r"\documentclass[", r"\ifnum ",
    r"\newif\ifa \ifa ", r"\IfBooleanTF{", r"\begin{lstlisting}[caption={", r"\kern1pt plus ", r"\foo{a=b,",
    r"\foo{|l|l", r"\[ \begin{x}", r"\url{", r"\url{a%", r"\url{a%b}", r"\ifnum 1<", r"\ifnum1<2 a\else b\fi",
    r"\tikz ", r"\tikz{", r"\gls{a}", r"\newacronym{a}{b}{", r"\newacronym{a}{b}{c}\gls{a}",
    r"\newglossaryentry{a}{name={",
    r"\figref{a}", r"\figref{a,", r"\subfloat[a", r"\subfloat[a]{", r"\hrule height ", r"\hbox to ", r"\advance\a by ",
    r"\setbox", r"\enquote{", r"\SI{1}{\m", r"\lettrine{a}{", r"\foo[a=", r"\foo=1",
    r"\newlength{\a}\a=1pt ", r"\string",
    r"\declaretheorem[name=", r"\newcommandx{\a}[1][1=", r"\cr ", r"\If{a}{b}", r"\import{a}{b} ", r"\item[",
    r"\item[$",
]  # fmt: skip


# of other formats, and of the checks that any text goes through
MARKUP = [
    " ", "\t", "\n", " \n", "\t\n ", "x", "=", "== ", "-", "*", "#", ":", ";", "'", "`", "``", "|", "\\", "(", "( ",
    "(; ", ", )", "{{", "}}", "{|", "|}", "[[", "]]", "{{a|", "[[a|b", "{{ ]] ", "[http://x ", "[http://x",
    "[http://x y]", "<", ">", "<ref>", "</ref>", "<ref name=a/>", "<math>", "<!--", "-->", "<br ", "<pre",
    "<pre><code", "</code> ", "<a <b", "<b>", "<i><b>", "<div>", "<p>", "<table><tr><td>", "</p>", "&", "&#", "&amp",
    "&#x", " .", "__A", "__", ":a:`", ":a", ":a:", "`a <", "`a`", ".. ", "..", ".. a::\n", ".. a::\n   :b: c\n",
    ".. |", ".. [", "\n:a: b", "::\n", "chapter 1 ", "chapter", "ACT I\n\n", "\n\n", "\n\n=", "===\n", "a\n===\n\n",
    "*** START OF THE PROJECT GUTENBERG ", "***", "{a", "{a}", "SPDX-License-Identifier: ", "MIT AND ", "1,",
    "0x1f, ", "abc0=", "\"", "#!", "1. ", "a.b-", "a@b.", "a@", "555-", "1234 ", "2001:", "1.2.", "DE12 ", "+49 ",
    "cancer-", "cancer ", "A. ", "Dr. ", "é", "\u3000", "\u00a0", "a\tA\tB\n", "{}\n", "[", "[1,", "{\"a\":",
    ".. |a| replace:: b\n", "|a|", ".. x::\n\n  a\n", ".. x::\n\n  .. y::\n", "`~a.", "`~a`", ".. _a:\n\n",
    "\\ ", ".. [#]\n",
    "<ul><li>a", "<page>", "<row ", "<row/>", "</page>", "{{{", "{{{a|", "{{{a}}}", "<nowiki>", "</nowiki>", "a<p>b",
]  # fmt: skip
BEGINNINGS = ["a", "==", "[[", "[http://x", "<ref", "`", "..", "chapter", "(", "#", "\n\n", ":"]  # blanks after them
STEPS: dict[str, Callable[[str], object]] = {
    "normalised": documents.normalised,
    "names": person_names.windows,
    "licence": licenses.recognised,
    "references": character_references.unescaped,
    "pii": whole_text.spans,
    "split": lambda text: plain_text.split(text, 8, 20),
}


def read(format: str) -> Callable[[str], object]:
    """All that a text of the format costs, an error too."""

    def work(text: str) -> None:
        with contextlib.suppress(InputError):
            FORMATS[format](text, Report())

    return work


def assert_linear_in_markup(work: Callable[[str], object]) -> None:
    shapes = [("", unit, "") for unit in MARKUP] + [("a", unit, "x") for unit in MARKUP]
    shapes += [(begin, blank, "x") for begin in BEGINNINGS for blank in (" ", "\t", "\n")]
    for before, unit, after in shapes:
        try:
            assert_linear(work, lambda n, parts=(before, unit, after): parts[0] + parts[1] * n + parts[2])
        except AssertionError as error:
            raise AssertionError(f"{before!r} + {unit!r} * n + {after!r}: {error}") from error


@pytest.mark.parametrize("unit", LATEX)
def test_latex(unit: str) -> None:
    assert_linear(read("latex"), lambda n: unit * n)
    assert_linear(read("latex"), lambda n: unit * n + r"} ] $ \] \) \end{equation} \end{verbatim} \fi x")


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "latex"])
def test_formats(format: str) -> None:
    assert_linear_in_markup(read(format))


@pytest.mark.parametrize("step", STEPS)
def test_steps(step: str) -> None:
    assert_linear_in_markup(STEPS[step])


def superlinear(text: str) -> None:
    for _ in range(16):
        re.search("a*b", text)


def test_superlinear_work_is_seen() -> None:
    with pytest.raises(AssertionError, match="times as long"):
        assert_linear(superlinear, lambda n: "a" * n)


def test_a_first_call_that_takes_longer_hides_nothing() -> None:
    """What is compiled or read in it would make an input look large enough, whose own work is too little to compare."""
    calls: list[str] = []

    def work(text: str) -> None:
        end = time.thread_time() + (0.0 if calls else 2 * ENOUGH_S)
        calls.append(text)
        while time.thread_time() < end:
            pass
        superlinear(text)

    with pytest.raises(AssertionError, match="times as long"):
        assert_linear(work, lambda n: "a" * n)
