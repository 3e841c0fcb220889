"""Texts on which a format's reader once hung, crashed, lost prose or ended its source. Written by hand; each is read by
every format's reader (tests/llm/collect/formats/test_fuzz.py). A new failure belongs here, as small as it can be
made."""

DIGITS = "9" * 5000  # int() refuses as many
LONG = 2_000

PAST_FAILURES = [
    # minutes of backtracking
    "== " + " " * LONG + "x",
    "==" + "\t" * LONG + "x\n",
    "\t" * LONG + "x",
    " " * LONG + "\n" + " " * LONG + "x",
    "[http://x " * LONG,
    "[[" + " " * LONG + "x]]",
    "{{ ]] " * LONG,
    "<ref>" * LONG + "<math>" * LONG,
    "<pre <pre " * LONG,
    "`" + " " * LONG + "<x",
    ":a" * LONG + ":`x",
    "(" + " ;" * LONG + "x",
    "act i\n\n" * LONG,
    # tracebacks
    "&#" + DIGITS + "; &#x" + "f" * 5000 + "; &#0;",
    DIGITS,
    f'{{"text": {DIGITS}}}',
    "[" * 100_000,
    f"word\tA\t{'B' * 5000}\n",
    r"\let\a\b\let\b\a" * LONG + r"\a x",
    r"\char" + DIGITS,
    r"\newcommand{\a}[" + DIGITS + r"]{x}\a",
    "#" * 10 + r"\def\a#9#8{#7#1}\a",
    # a reader's own marks in its text
    r"\' \d",
    # macros without end
    r"\def\a{\a\a}\a",
    r"\makeatletter\def\a{\@ifstar{\a@s}{\a@n}}\makeatother\a",
    r"\item[\item[\item[" + r"\item[" * 500 + "]" * 500,
    r"\newenvironment{q}{\begin{q}}{\end{q}}\begin{q}\end{q}",
    # prose lost
    "{{Infobox\n| a = b\n\nProse that follows.",
    "{| class=x\n| cell\n\nProse that follows.",
    r"\section{Intro}\label{s}" + "\n\n" + r"{\bf Motivation.} Large",
    r"\begin{equation} never closed, and prose",
    r"\iffalse never closed, and prose",
    r"\begin{verbatim} never closed, and prose",
    r"\footnote{never closed, and prose",
    "a $ b $$ c \\[ d \\( e",
    # sources that ended
    '{"text": "one"}\nnot JSON\n{"text": "two"}\n',
    '{"other": 1}\n[1]\n"x"\n1\nnull\n{"text": 1}\n',
    "<mediawiki><page>a & b</page><page><title>T</title><revision><text>x</text></revision></page></mediawiki>",
    "<posts><row Id='1' Body='a & b'/><row Id='2' PostTypeId='1' Body='x'/></posts>",
    "word\tA\tB\nbroken\nword\t?\tB\n",
    # a byte order mark, other line ends, control characters, what is no character
    "\ufeffa\r\nb\rc\x0b\x0c\x85\u2028d\x00e\x1f\ufffe\U0010ffff",
    "a\ud800b",
]
