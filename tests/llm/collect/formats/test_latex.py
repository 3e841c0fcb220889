"""LaTeX: no prose is lost, macros are expanded, formulas stay as written."""

import pytest

from llm.collect.documents import Report
from llm.collect.formats import latex
from llm.collect.formats.tex.paper import read_paper
from tests.llm.collect.formats.test_formats import archive, extracted

PAPER = r"""\documentclass{article} % a comment
\newcommand{\R}{\mathbb{R}}
\title{On \emph{mean} values}
\begin{document}
\maketitle
\section{Introduction}\label{sec:intro}
Let $f\colon \R \to \R$ cost 5\% more~\cite{knuth} % remark
than ``G\"odel's'' proof; see Fig.~\ref{f}
% a whole line
\begin{figure}\includegraphics{x}\caption{Costs}\label{f}\end{figure}
\begin{equation}\label{eq:mean}
  f(c) = \frac{1}{b-a} \int_a^b f(x)\,dx % integral
\end{equation}
\begin{itemize}
\item \textbf{First} point,
\item[Two] \textit{second \underline{point}}.
\end{itemize}
\begin{verbatim}
100% {raw}
\end{verbatim}
\end{document}
after the end"""


def text_of(source: str, **files: str) -> str:
    """The text of a.tex; the other files lie beside it."""
    opened = archive(a__tex=source, **files)
    (document,) = latex.documents(opened, ["a.tex"], Report())
    return document.text


def test_a_paper() -> None:
    (document,) = extracted(latex, paper__tex=PAPER)
    assert document.title == "On mean values"
    assert document.text == (
        "Introduction\n\nLet $f\\colon \\R \\to \\R$ cost 5% more\nthan “Gödel's” proof; see Fig. 1\n\n"
        "Figure 1: Costs\n\n"
        "\\begin{equation}\n  f(c) = \\frac{1}{b-a} \\int_a^b f(x)\\,dx \n\\end{equation}\n\n"
        "- First point,\n\n- Two: second point.\n\n100% {raw}"
    )


def test_a_chapter_without_a_preamble() -> None:
    assert text_of(r"\chapter{Sets} A set \(S\) is \textsc{given}.") == "Sets\n\nA set \\(S\\) is given."


@pytest.mark.parametrize(
    "command", [r"\label{s}", r"\cite{a}", r"\color{red}", r"\hspace{1em}", r"\thispagestyle{empty}", r"\vspace*{-2pt}"]
)
@pytest.mark.parametrize("between", ["", " ", "\n\n"])
def test_braces_after_a_silent_command_are_prose(command: str, between: str) -> None:
    text = text_of(rf"\section{{Intro}}{command}{between}{{\bf Motivation.}} Large {command}{{\it models}} are")
    assert text.split() == ["Intro", "Motivation.", "Large", "models", "are"]


def test_a_heading_with_its_label() -> None:
    assert text_of("\\section{Intro}\\label{sec:i}\n\n{\\bf Motivation.} Large") == "Intro\n\nMotivation. Large"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"a \includegraphics[width=3cm]{fig.pdf} b", "a b"),
        (r"a \titlerunning{S} b", "a b"),
        (r"a \colorbox{red}{x} b", "a x b"),
        (r"\textcolor{red}{important}", "important"),
        (r"\fcolorbox{red}{white}{framed}", "framed"),
        (r"\href{http://example.org/~x}{the page}", "the page"),
        (r"\url{http://example.org/~x_y\%20z}", "http://example.org/~x_y%20z"),
        (r"\footnote{See \url{http://a.org/b%20c}.} and on", "and on\n\nSee http://a.org/b%20c."),
        (r"\href{http://a.org/%7Ex}{the page} and \path{50%} on", "the page and 50% on"),
        (r"{\bf bold \nolinkurl{a%b}} and \url{c} on % gone", "bold a%b and c on"),
        (r"\newcommand{\home}{\url{http://a.org/%7Ex}} at \home now", "at http://a.org/%7Ex now"),
        (r"\verb|a_b%{| and \lstinline[language=C]{int x;}", "a_b%{ and int x;"),
        (r"\raisebox{1ex}[2pt]{high} \parbox[t]{3cm}{box} \rule{1pt}{2pt}ruled", "high box ruled"),
        (r"\kern-.1em tight \hskip 3pt plus 1fil wide", "tight wide"),
    ],
)
def test_a_command_ends_where_its_name_ends_and_takes_its_own_arguments(source: str, text: str) -> None:
    assert text_of(source) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"\foo{bar} baz", "bar baz"),
        (r"\foo[opt]{left}{right}", "left right"),
        (r"\foo{0.5\textwidth}{kept words}", "kept words"),
        (r"\foo [in brackets] stays", "[in brackets] stays"),
        (r"\begin{foo}[x]{0.3\textwidth}words\end{foo}", "words"),
        (r"\begin{foo}{A title}words\end{foo}", "A titlewords"),
        (r"{\foo deep {er \bar{est}}}", "deep er est"),
        (r"\FooNet\ beats all of \BarNet{}, \noindent\somehow", "FooNet beats all of BarNet,"),
    ],
)
def test_an_unknown_command_keeps_its_braces_text(source: str, text: str) -> None:
    assert text_of(source) == text


# ---- macros


def test_macros_without_arguments() -> None:
    source = r"\newcommand{\method}{FooNet} We propose \method{}, a network. \method\ beats all"
    assert text_of(source) == "We propose FooNet, a network. FooNet beats all"


@pytest.mark.parametrize(
    ("definition", "use", "text"),
    [
        (r"\newcommand\pair[2]{#1 and #2}", r"\pair{a}{b}", "a and b"),
        (r"\newcommand{\opt}[2][one]{#1 of #2}", r"\opt{x}, \opt[two]{y}", "one of x, two of y"),
        (r"\def\swap#1#2{#2#1}", r"\swap{b}{a} \swap xy", "ab yx"),
        (r"\def\until#1;{<#1>}", r"\until some words; more", "<some words> more"),
        (r"\newcommand{\outer}{\inner{} again}\newcommand{\inner}{nested}", r"\outer", "nested again"),
        (r"\let\old\emph\renewcommand{\strong}[1]{\old{#1}!}", r"\strong{now}", "now!"),
        (r"\NewDocumentCommand\starred{s o m}{\IfBooleanTF{#1}{star }{}#3\IfValueT{#2}{ (#2)}}",
         r"\starred*{a} \starred[b]{c}", "star a c (b)"),
        (r"\newcommand{\cs}[1]{\bslash#1}\chardef\bslash=`\\ ", r"\cs{foo}", r"\foo"),
        (r"\newenvironment{note}[1]{\par On #1: }{ (end)}", r"\begin{note}{x}text\end{note}", "On x: text (end)"),
        (r"\newcommand{\eps}{\ensuremath{\epsilon}\xspace}", r"an \eps small", r"an $\epsilon$ small"),
    ],
)  # fmt: skip
def test_macros(definition: str, use: str, text: str) -> None:
    assert text_of(f"{definition}\n{use}") == text
    preamble = f"\\documentclass{{article}}\n{definition}\n\\begin{{document}}\n{use}\n\\end{{document}}"
    assert text_of(preamble) == text


def test_macros_of_the_papers_own_style_file() -> None:
    style = "\\newcommand{\\name}{BarNet}\n\\newcommand{\\hidden}{\\@ifnextchar x{}{}}\\def\\@x{y}\n"
    main = "\\documentclass{article}\\usepackage{ours}\\begin{document}We call it \\name.\\end{document}"
    assert text_of(main, ours__sty=style) == "We call it BarNet."


@pytest.mark.parametrize(
    "bomb",
    [r"\def\a{\a\a}\a", r"\def\a{\b}\def\b{\a\x}\a", r"\newenvironment{q}{\begin{q}}{}\begin{q}",
     "".join(rf"\def\{a}{{{b * 99}}}" for a, b in zip("gabcde", [rf"\{x}" for x in "abcdef"], strict=True)) + r"\g"],
)  # fmt: skip
def test_macros_without_end_are_not_expanded(bomb: str) -> None:
    assert text_of(bomb + " words") == "words"


def test_macros_of_packages() -> None:
    """Written where @ is a letter, with stars and definitions of their own."""
    starred = (
        r"\makeatletter\def\r{\@ifstar{\r@s}{\r@n}}\def\r@s#1{star #1}\def\r@n#1{none #1}\makeatother \r{a} \r*{b}"
    )
    assert text_of(starred) == "none a star b"
    assert text_of(r"\newcommand{\o}[1]{\def\i##1{#1 ##1}\i{x}}\o{y}") == "y x"


# ---- formulas


@pytest.mark.parametrize(
    "formula",
    [
        r"$x^2$", r"$$x \$ y$$", r"\(a_{ij}\)", r"\[ \sum_i x_i \]", r"$a \text{ if $b$ holds} c$",
        *(rf"\begin{{{name}}} a &= b \\ c &= \frac{{d}}{{e}} \end{{{name}}}" for name in
          ("equation", "equation*", "align", "align*", "eqnarray", "IEEEeqnarray", "dmath", "multline*", "gather")),
    ],
)  # fmt: skip
def test_formulas_stay_as_they_are_written(formula: str) -> None:
    assert text_of(rf"\newcommand{{\foo}}{{bar}} so {formula} holds") == f"so {formula} holds"


@pytest.mark.parametrize(("begin", "end"), [("beq", "eeq"), ("be", "ee"), ("bea", "eea")])
def test_short_names_of_formulas(begin: str, end: str) -> None:
    """As macros of the document, or known because everybody has them."""
    name = "eqnarray" if begin == "bea" else "equation"
    wanted = rf"so \begin{{{name}}} E=mc^2 \end{{{name}}} holds"
    assert text_of(rf"so \{begin} E=mc^2 \{end} holds") == wanted
    defined = rf"\newcommand{{\{begin}}}{{\begin{{{name}}}}}\def\{end}{{\end{{{name}}}}}"
    assert text_of(rf"{defined}so \{begin} E=mc^2 \{end} holds") == wanted
    own = r"\newenvironment{eqn}{\begin{equation}}{\end{equation}}so \begin{eqn}x\end{eqn} holds"
    assert text_of(own) == r"so \begin{equation}x\end{equation} holds"


def test_ensuremath() -> None:
    assert text_of(r"at \ensuremath{x^2}.") == "at $x^2$."


@pytest.mark.parametrize("source", [r"costs $5 and more", r"a \[ b", r"a \begin{equation} b", r"a $$ b"])
def test_a_formula_that_never_ends_is_prose(source: str) -> None:
    text = text_of(f"{source} words\n\nmore words")
    assert text.endswith("words\n\nmore words")


# ---- what stands beside the text


def test_footnotes_stand_below_their_paragraph() -> None:
    source = "A word\\footnote{The note, {\\it twice}.} and\nmore\\footnotemark[1].\n\nNext\\footnote[3]{Other.}"
    assert text_of(source) == "A word and\nmore.\n\nThe note, twice.\n\nNext\n\nOther."


def test_tables_are_rows() -> None:
    source = r"""\begin{table}[t]\begin{tabular}{|l|p{3cm}|@{}r}\hline Name & Value \\ \hline
a & \multicolumn{2}{c}{$x$ &
   long} \\[2pt] & \\ \cmidrule(lr){1-2} b & \begin{tabular}{c}one\\two\end{tabular} \\
\end{tabular}\caption[short]{All values}\end{table}"""
    assert text_of(source) == "Name | Value\na | $x$ | long\nb | one two\n\nTable 1: All values"


def test_widths_and_column_specifications_are_no_text() -> None:
    for begin in (r"\begin{minipage}[t]{.4\textwidth}", r"\begin{tabularx}{\linewidth}{XX}", r"\begin{multicols}{2}",
                  r"\begin{wrapfigure}{r}{3cm}", r"\begin{longtable}[c]{lll}",
                  r"\begin{tabular*}{5cm}{l@{ }r}"):  # fmt: skip
        name = begin[len(r"\begin{") : begin.index("}")]
        assert text_of(rf"{begin}words\end{{{name}}}") == "words"


def test_conditionals() -> None:
    assert text_of(r"seen \iffalse hidden \ifx\a\b deep \fi too \fi seen \iff") == "seen seen"
    switch = r"\newif\ifdraft \ifdraft draft\else final\fi, \drafttrue\ifdraft draft\else final\fi"
    assert text_of(switch) == "final, draft"
    assert text_of(r"\ifx\a\b one \else two \fi") == "one two"
    assert text_of(r"\ifx\a\b one\else two\fi") == "one two"
    assert text_of(r"\ifnum\x<2 less \else more \fi on, \ifdim\y > 3.5pt wide\fi") == "less more on, wide"
    assert text_of(r"\ifdefined\x See \url{http://a.org/%20b}\else no \fi on") == "See http://a.org/%20b no on"
    assert text_of(r"\iffalse never closed") == "never closed"


def test_comments_join_lines_as_tex_does() -> None:
    assert text_of("one% c\n   two\n% all\nthree 5\\% % d\nfour% e\n\nfive") == "onetwo\nthree 5%\nfour\n\nfive"


def test_letters_and_signs() -> None:
    source = (
        r"na\"{\i}ve \c{c}a \v{S}koda \'{\^e} Stra\ss e \o l \~{}x 3\,m ``q'' 1--2 \S 3 \LaTeX is \copyright\ \& \{ \}"
    )
    assert text_of(source) == "naïve ça Škoda ế Straße øl ~x 3 m “q” 1–2 §3 LaTeX is © & { }"
    german = '\\documentclass{article}\\usepackage[ngerman]{babel}\\begin{document}"Uber Stra"se "`so"\'\\end{document}'
    assert text_of(german) == "Über Straße „so“"


def test_abstracts_before_the_document() -> None:
    source = r"\documentclass{jss}\Abstract{What we did.}\title{T}\begin{document}\section{One} Text\end{document}"
    assert text_of(source) == "What we did.\n\nOne\n\nText"


def test_code_is_kept_with_its_caption() -> None:
    options = r"[language=C,caption={A loop, {\bf twice}},label=loop]"
    listing = f"\\begin{{lstlisting}}{options}\nfor (;;) {{ $x$ % }}\n\\end{{lstlisting}}after \\ref{{loop}}"
    assert text_of(listing) == "for (;;) { $x$ % }\n\nListing 1: A loop, twice\n\nafter 1"
    assert text_of("\\DefineVerbatimEnvironment{code}{Verbatim}{}\\begin{code}\n\\end{document}\n\\end{code}x") == (
        "\\end{document}\nx"
    )


def test_a_document_within_the_document_does_not_end_it() -> None:
    """Manuals show whole documents, in environments of their own or in short forms of verbatim text."""
    example = r"\begin{document} First play \end{document}"
    source = rf"\documentclass{{article}}\begin{{document}}One \begin{{sourcecode}}{example}\end{{sourcecode}} two"
    assert text_of(f"{source}\\end{{document}} three").split() == ["One", "First", "play", "two"]


def test_the_end_of_a_line_behind_item_is_a_blank() -> None:
    assert text_of("\\begin{itemize}\n\\item\n  One\n\\item[a]\ntwo\\end{itemize}") == "- One\n\n- a: two"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"\def\x{a\x b}\newcommand{\m}{Foo}We \m{} like \x and \m.", "We Foo like and Foo."),
        (r"\def\x{\y}\def\y{\x}\def\m{Foo}\x \m", "Foo"),
        (r"\def\x#1{\x{#1#1}}\x{ab} end", "ab end"),
        (
            r"\newcommand{\m}{Foo}\newcommand{\all}[1]{#1}\all{" + r"\m{} is. " * 3000 + "}",
            "Foo is. " * 2999 + "Foo is.",
        ),
    ],
)
def test_a_macro_without_end_is_not_expanded_others_are(source: str, text: str) -> None:
    assert read_paper(source).text == text
