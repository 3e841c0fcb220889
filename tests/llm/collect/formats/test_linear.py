"""No text of any format takes more than time proportional to its length: whatever is opened in it and never closed."""

from collections.abc import Callable

import pytest

from llm.collect.documents import Report
from llm.collect.formats import latex
from tests.llm.collect.formats.linear import assert_linear
from tests.llm.collect.formats.test_formats import archive


def run(module, name: str) -> Callable[[str], object]:
    def work(text: str) -> list:
        opened = archive(**{name: text})
        return list(module.documents(opened, opened.names, Report()))

    return work


LATEX = [
    "{", "}", "[", "]", "$", "$$", "\\(", "\\[", "%", "\\\\", "&", "~", "#", "`", "\n", " ", "\t \n", "a %\n",
    "$ { ", "{$",
    *(rf"\begin{{{name}}}" for name in ("equation", "verbatim", "tabular", "itemize", "figure", "comment", "nothing")),
    r"\verb|", r"\verb|a ", r"\item[", r"\footnote{", r"\cite[", r"\foo[", r"\foo{", r"\section{", r"\caption{", r"\\[",
    r"\end{x}", r"\begin{x}\end{y}", r"\iffalse ", r"\iftrue\else ", r"\def\a{", r"\newcommand{\a}[1]{#1}\a{",
    r"\item[\item[a]]", r"\(a ", r"\input{x} ", r"\cite{a}", r"(\cite{a}", r"\footnote{a\footnote{b}}", r"\ref{a} ",
    r"\begin{tabular}{l}a & \begin{tabular}{l}b\\", r"\def\a#1.{#1}\a", r"\label{a}", r"\'", r"\' ", r"\char`",
    r"\newtheorem{a}{A}\begin{a}", r"\newenvironment{a}{\begin{equation}}{\end{equation}}\begin{a}",
    r"\let\a\b\let\b\a", r"\begin{align}\\", r"\begin{equation}\begin{equation}", r"\begin{figure}\caption{a}",
    r"\MakeShortVerb{\|}|a ", r"\bibitem[{", r"\bibitem[a(1)]{b}", r"\usepackage{", r"\documentclass[", r"\ifnum ",
    r"\newif\ifa \ifa ", r"\IfBooleanTF{", r"\begin{lstlisting}[caption={", r"\kern1pt plus ", r"\foo{a=b,",
    r"\foo{|l|l", r"\[ \begin{x}",
]  # fmt: skip


@pytest.mark.parametrize("unit", LATEX)
def test_latex(unit: str) -> None:
    assert_linear(run(latex, "a__tex"), lambda n: unit * n)
    assert_linear(run(latex, "a__tex"), lambda n: unit * n + r"} ] $ \] \) \end{equation} \end{verbatim} \fi x")
