"""LaTeX: commands that were met in papers, theses and manuals of many fields, and what becomes of them."""

import pytest

from llm.collect.documents import Report
from llm.collect.formats import latex
from llm.collect.formats.tex.paper import read_paper
from tests.llm.collect.formats.test_formats import archive


def prose(source: str) -> str:
    return read_paper(source).text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"a \textbackslash{}foo and \textbackslash bar", r"a \foo and \bar"),
        (r"\textasciitilde/x and 2\textasciicircum3", "~/x and 2^3"),
        (r"\textbraceleft x\textbraceright{} \lbrace y\rbrace", "{x} {y"),
        (r"le 1\ier, la 1\iere{} et le 2\ieme{} jour", "le 1er, la 1re et le 2e jour"),
        (r"by \LyX, \XeLaTeX, or \ConTeXt.", "by LyX, XeLaTeX, or ConTeXt."),
        (r"\string\foo writes", r"\foo writes"),
        (r"\ccsdesc[500]{Computing~Theory} x", "Computing Theory x"),
        (r"Bee \etal. say, \cf. Cee, \ie that", "Bee et al. say, cf. Cee, i.e. that"),
        (r"the class \acro{CTAN} has", "the class CTAN has"),
    ],
)
def test_signs_and_names(source: str, text: str) -> None:
    assert prose(source).startswith(text)


@pytest.mark.parametrize(
    "source",
    [
        r"One \cellcolor{red}two.",
        r"One \typeout{for the log}two.",
        r"One \icmlauthor{Ann Bee}{x}two.",
        r"One \setlist[itemize]{nosep}two.",
        r"One \algnewcommand{\own}[1]{\State #1}two.",
        r"\twocolumn[One] two.",
        r"One \begin{textblock*}{3cm}(1cm,2cm)two.\end{textblock*}",
        r"One \rowcolor[gray]{.9} two.",
        r"One \hrulefill{} two.",
        r"One\hrule height 2pt depth -.4pt width \textwidth two.",
        r"One \hbox to 3cm{two}.",
        r"One \vbox to\hsize{two}.",
        r"One \spaceskip=.3333em plus -.1em two.",
        r"One \unknownskip=3pt two.",
        r"One \advance\hsize by 3pt two.",
        r"One \multiply\count5 by 2 two.",
        r"One \setbox0=\hbox{two}.",
        r"One \dimen0=3pt two.",
        r"\newlength{\own}\newdimen\other One \own=3pt \other 2cm two.",
        r"One \enlargethispage{2\baselineskip}two.",
        r"One \pdfbookmark[1]{Contents}{toc}two.",
        r"One \printglossary[type=acronym,style=long] two.",
        r"One \unknown[style=long, type=x] two.",
        r"One \fancyhf{}two.",
        r"One \tikz[baseline]\draw (0,0) -- (1,1); two.",
        r"One \tikz{\node {x};}two.",
        r"One \begin{dependency} \depedge{1}{2}{subj} \end{dependency} two.",
    ],
)
def test_lengths_registers_and_pictures_are_no_text(source: str) -> None:
    assert prose(source).split() == ["One", "two."]


def test_an_option_in_prose_stays() -> None:
    assert prose(r"as \other [5] and \foo[6] say, \alpha=b") == "as [5] and [6] say, =b"


def test_rows_may_end_otherwise() -> None:
    table = r"\begin{tabular}{ll} a & b \tabularnewline c & d \tabularnewline[2pt] e & f\cr \end{tabular}"
    assert prose(table) == "a | b\nc | d\ne | f"


def test_rows_of_the_tables_of_astronomers() -> None:
    table = (
        r"\begin{deluxetable}{ll} \tablecaption{Stars} \tablehead{\colhead{A} & \colhead{B}} \startdata a & b \\ c & d"
        r" \enddata \tablecomments{All.} \tablenotetext{a}{Note.} \end{deluxetable}"
    )
    assert prose(table) == "Table 1: Stars\nA | B\na | b\nc | d\nAll.\na Note."


@pytest.mark.parametrize(
    "begin",
    [
        r"\begin{tblr}{colspec={ll}, hlines}",
        r"\begin{longtblr}[caption={x}]{ll}",
        r"\begin{NiceTabular}{ll}",
        r"\begin{xltabular}{\textwidth}{lX}",
        r"\begin{tabu} to \textwidth {lX}",
    ],
)
def test_tables_of_other_packages(begin: str) -> None:
    name = begin[7:].partition("}")[0]
    assert prose(rf"{begin} a & b \\ c & d \end{{{name}}}") == "a | b\nc | d"


def test_captions_of_parts() -> None:
    figure = (
        r"\begin{figure}\subfigure[First one.\label{a}]{\includegraphics{x}} \subfloat[list][Second one.]{\label{b}"
        r"\includegraphics{y}} \subcaptionbox{Third one.\label{c}}[2cm]{z} \caption{All.}\label{all}\end{figure}"
        r" See \ref{a}, \ref{b}, \ref{c} of \ref{all}."
    )
    assert prose(figure) == "First one.\n\nSecond one.\n\nThird one.\n\nz\n\nFigure 1: All.\n\nSee 1a, 1b, 1c of 1."


def test_references_of_a_class_are_said() -> None:
    source = (
        r"\section{A}\label{s:a} \section{B}\label{s:b} \begin{equation}\label{e}x\end{equation}"
        r" See \sectionref{s:a,s:b}, section~\secref{s:b}, \nameref{s:a}, \nameref{e}"
    )
    assert prose(source).endswith("See Sections 1, 2, section 2, A, Equation (1)")
    assert prose(r"\section{A}\label{s:a} \crefrange{s:a}{s:a} and \fooref{no label} \figref{other}").endswith(
        "sections 1 to 1 and no label other"
    )
    assert prose(r"\section{A}\label{ISO} \disref{ISO}{Camera}").endswith("ISO Camera")


def test_quotations_and_initials() -> None:
    assert prose(r"\enquote{So \emph{it} is}, \textquote[{\cite{x}}]{said}") == "“So it is”, “said”"
    assert prose(r"\foreignquote{german}{Zitat} x") == "Zitat x"
    assert prose(r"\lettrine[lines=2]{W}{hen} \IEEEPARstart{T}{his} is") == "When This is"
    assert prose(r"\section{The \texorpdfstring{$\alpha$}{alpha} test}") == r"The $\alpha$ test"


def test_the_text_of_a_link_stays() -> None:
    assert prose(r"see \hyperref[sec:a]{the section} below") == "see the section below"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"\SI{3}{\meter\per\second} \qty{5 \pm 1}{\kg} \si{\um}", "3 m/s 5 ± 1 kg µm"),
        (r"\SIrange{1}{2}{\km} \numrange{3}{4} \qtyrange[x=y]{1}{2}{\percent}", "1 to 2 km 3 to 4 1 to 2 %"),
        (r"\newcommand{\unit}[1]{unit #1} \unit{a}", "unit a"),
    ],
)
def test_quantities(source: str, text: str) -> None:
    assert prose(source) == text


def test_acronyms_are_said_as_defined() -> None:
    source = (
        r"\newacronym{cpu}{CPU}{central processing unit} \newglossaryentry{set}{name=Set\index{s}, description={all}}"
        r"\DeclareAcronym{ram}{short=RAM, long={random access memory}}"
        r"A \gls{cpu}, \glspl{cpu}, \acrlong{cpu}. \Gls{set} \ac{ram} \ac{ram} \gls{nothing}"
    )
    assert prose(source) == (
        "A central processing unit (CPU), CPUs, central processing unit. Set random access memory (RAM) RAM nothing"
    )
    assert prose(r"\begin{acronym}[XY] \acro{nn}[NN]{neural network} \end{acronym} \ac{nn}").split("\n") == [
        "- NN: neural network", "", "neural network (NN)",
    ]  # fmt: skip


def test_an_acronym_of_itself_ends() -> None:
    assert "long" in prose(r"\newacronym{a}{\gls{a}}{\gls{a} long} \gls{a}")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"\newcommandx{\foo}[2][1=a]{x#1#2} \foo{b} \foo[c]{d}", "xab xcd"),
        (
            r"\spnewtheorem{hypo}{Hypothesis}{\bfseries}{\itshape} \begin{hypo} It is. \end{hypo}",
            "Hypothesis 1. It is.",
        ),
        (r"\declaretheorem[name=Satz]{satz} \begin{satz} Es gilt. \end{satz}", "Satz 1. Es gilt."),
        (r"\lstMakeShortInline[columns=x]| a |b_c| d", "a b_c d"),
        (r"\ifcase\month\or May\or June\fi{} 2003", "May June 2003"),
        (r"\ifodd\value{page}left\fi{} \ifnum\value{x}>1 right\fi", "left right"),
    ],
)
def test_definitions(source: str, text: str) -> None:
    assert prose(source).removeprefix("|").strip() == text


def test_items_without_a_term() -> None:
    assert prose(r"\begin{itemize}\item[--] one \item[$\bullet$] two \item[a)] three\end{itemize}").split("\n") == [
        "- one", "- two", "- a) three",
    ]  # fmt: skip


def test_steps_of_algorithm2e() -> None:
    source = (
        r"\begin{algorithm} \ForEach{$x$}{ read it\; \tcp*{why} \eIf{it}{go\;}{stop\;} } \caption{It}\end{algorithm}"
    )
    assert prose(source) == "for each $x$\nread it\nwhy\nif it\ngo\nstop\n\nAlgorithm 1: It"


@pytest.mark.parametrize(
    ("taken", "name"),
    [
        (r"\import{parts/}{one}", "parts/one__tex"),
        (r"\subimport*{parts}{one.tex}", "parts/one__tex"),
        (r"\subfileinclude{parts/one}", "parts/one__tex"),
        (r'\input "parts/one"', "parts/one__tex"),
        (r"\include{parts/one}", "parts/one__tex__gz"),
        (r"\input{parts/one.tex}", "parts/one__tex__gz"),
    ],
)
def test_a_main_file_takes_in_its_parts(taken: str, name: str) -> None:
    main = rf"\documentclass{{article}}\begin{{document}}Zero. {taken} Two.\end{{document}}"
    opened = archive(**{"main__tex": main, name: "One."})
    (document,) = latex.documents(opened, opened.names, Report())
    assert document.text == "Zero. One. Two."


def test_packed_files_beside_a_packed_paper_count() -> None:
    main = r"\documentclass{article}\usepackage{own}\begin{document}\citet{k} say \name{}.\end{document}"
    files = {
        "main__tex__gz": main,
        "own__sty__gz": r"\newcommand{\name}{that}",
        "main__bbl__gz": r"\bibitem[Knuth(1984)]{k}",
    }
    (document,) = latex.documents(archive(**files), ["main.tex.gz"], Report())
    assert document.text == "Knuth (1984) say that."


@pytest.mark.parametrize("padding", range(0, 16, 4))
def test_of_macros_without_end_each_is_left_out(padding: int) -> None:
    """Where the limit was met at one that is not what has no end, it was met there again, and none was expanded."""
    macros = r"\newcommand{\name}{FooNet} \def\a{\c\b}\def\b{\c\a}\def\c{}"
    assert prose(rf"{macros} Before \a{{}} after \name.{' ' * padding}").endswith("after FooNet.")


def test_a_file_in_a_sentence_is_text_and_a_picture_is_none() -> None:
    assert prose(r"use \Rfunction{read.csv} on \file{main.tex} \picture{a.png}") == "use read.csv on main.tex"
