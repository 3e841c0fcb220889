"""LaTeX slides: what says on which of them a text stands goes, titles are lines, all text stays."""

import re

import pytest

from llm.collect.formats.tex.paper import read_paper


def slides(source: str) -> str:
    return read_paper(rf"\documentclass[t]{{beamer}}\begin{{document}}{source}\end{{document}}").text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"\item<1-> One \item <2-|alert@3> two \item[a]<3> b \item<4>[c] d", "- One\n\n- two\n\n- a: b\n\n- c: d"),
        (r"\only<2>{One} \uncover<3->{two} \visible<2-| handout:0>{three} \alert<.->{four}", "One two three four"),
        (r"\alt<2>{One}{two} and \temporal<3>{three}{four}{five}.", "One two and three four five."),
        (r"\onslide<3->{One} \onslide+<2>{two} \onslide<2-> three \onslide \pause[2] four", "One two three  four"),
        (r"\textbf<2>{One} \color<2>[rgb]{1,0,0} two \hyperlink<2>{t}{three}", "One two three"),
        (r"\includegraphics<1>[width=3cm]{fig} One \vspace<1>{3cm}\label<2>{x}", "One"),
        (r"\only{One}<2> two\framezoom<1><2>(0cm,1cm)", "One two(0cm,1cm)"),
        (
            r"\setbeamercolor{title}{fg=white}\setbeamertemplate{footline}[page]{}\usetheme[x]{Y}\transdissolve<2> One",
            "One",
        ),
    ],
)
def test_on_which_slides_a_text_stands_is_no_text(source: str, text: str) -> None:
    assert re.sub(r"\s+", " ", slides(source)) == re.sub(r"\s+", " ", text)


@pytest.mark.parametrize(
    "source",
    [
        r"\begin{frame}<1-2>[fragile]{Title}{Sub}Body\end{frame}",
        r"\begin{frame}\frametitle<presentation>{Title}\framesubtitle{Sub} Body\end{frame}",
        r"\frame<2>[plain]{\frametitle{Title}\framesubtitle{Sub} Body}",
        r"\begin{block}<3->{Title} Sub \par Body\end{block}",
        r"\begin{alertblock}{Title}<3-> Sub \par Body\end{alertblock}",
    ],
)
def test_titles_of_frames_and_blocks_are_lines(source: str) -> None:
    assert slides(source).split("\n\n") == ["Title", "Sub", "Body"]


def test_environments_of_slides() -> None:
    assert slides(r"\begin{itemize}[<+->] \item One \end{itemize}") == "- One"
    assert slides(r"\begin{enumerate}[(i)]<2-> \item One \end{enumerate}") == "- One"
    assert slides(r"\begin{theorem}<1->[Euler] One \end{theorem}") == "Theorem 1 (Euler). One"
    columns = r"\begin{columns}[T]\begin{column}{.5\textwidth} One \end{column}\column<2->{4cm} two\end{columns}"
    assert slides(columns).split() == ["One", "two"]
    assert slides(r"\begin{onlyenv}<2> One \end{onlyenv}\begin{altenv}<2>{a}{b}{c}{d} two \end{altenv}").split() == [
        "One",
        "two",
    ]


def test_what_is_no_specification_stays() -> None:
    assert slides(r"$a<b$ and 1<2>0, $\alpha<\beta>$") == r"$a<b$ and 1<2>0, $\alpha<\beta>$"
    assert slides("\\begin{verbatim}\n\\item<1-> x\n\\end{verbatim}\\only<1>{y}") == "\\item<1-> x\ny"
    article = read_paper(r"\documentclass{article}\begin{document}Write \note<1>{x} \pause[2] so.\end{document}").text
    assert "<1>" in article  # of another class nothing changes
