"""LaTeX: numbers and citations read as in print."""

from tests.llm.collect.formats.test_latex import text_of


def test_references_are_numbers() -> None:
    source = r"""\newtheorem{thm}{Theorem}[section]
\section{One}\subsection{Part}\label{part}\section{Two}\label{two}
\begin{thm}[Pythagoras]\label{thm} Squares.\end{thm}
\begin{align} a \label{a} \\ b \nonumber \\ c \label{c} \end{align}
\begin{enumerate}\item x \item\label{item} y\end{enumerate}
\begin{figure}\begin{subfigure}{2cm}\caption{Left}\label{left}\end{subfigure}\caption{Both}\label{fig}\end{figure}
\appendix\section{More}\label{app}
Section~\ref{two}, \ref{part}, Theorem~\ref{thm}, Eq.~(\ref{a}), \eqref{c}, step~\ref{item}, Fig.~\ref{fig},
\ref{left}, Appendix~\ref{app}, \autoref{fig}, \cref{a,c}, \ref{none}."""
    text = text_of(source)
    assert "Theorem 2.1 (Pythagoras). Squares." in text
    assert text.endswith(
        "Section 2, 1.1, Theorem 2.1, Eq. (1), (2), step 2, Fig. 1,\n1a, Appendix A, Figure 1, equations (1), (2), ??."
    )


def test_references_within_a_sentence() -> None:
    source = r"\section{A}\label{s}\begin{equation}x\label{e}\end{equation} see Section~\ref{s} and Eq.~(\ref{e})."
    assert text_of(source).endswith("see Section 1 and Eq. (1).")


def test_references_and_labels_of_macros() -> None:
    macros = r"\renewcommand{\eqref}[1]{\ref{eq:#1}}\newcommand{\Eq}[1]{Equation~(\eqref{#1})}"
    macros += r"\newcommand{\eqlabel}[1]{\label{eq:#1}}"
    source = r"\begin{equation}\eqlabel{a} x \end{equation} \Eq{a}"
    assert text_of(macros + source) == r"\begin{equation} x \end{equation} Equation (1)"


def test_citations() -> None:
    bibliography = r"\begin{thebibliography}{9}\bibitem[{Knuth \& {\'E}va}(1984)]{k} Gone.\end{thebibliography}"
    source = r"""Known~\citep[see][p.~3]{k,l}, as in (\cite{k}). \citet{k} shows what \citeauthor{k} says;
by \cite{l,k}, too \cite{k}. \cite{l} goes on. Done. \cite{l} New."""
    assert text_of(source + bibliography) == (
        "Known, as in. Knuth & Éva (1984) shows what Knuth & Éva says;\nby [2, 1], too. [2] goes on. Done. New."
    )
    main = r"\documentclass{article}\begin{document}\citet{x} and \citet{y}.\bibliography{z}\end{document}"
    bbl = r"\begin{thebibliography}{1}\bibitem[Ada et~al.(1842)Ada and Babbage]{x} ...\end{thebibliography}"
    assert text_of(main, a__bbl=bbl) == "Ada et al. (1842) and [2]."
