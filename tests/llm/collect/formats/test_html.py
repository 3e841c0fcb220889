"""HTML to text: what stays and what goes, markup of every kind, and that nothing is lost or crashes."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.collect.formats.html import EXTRACTORS, extract
from llm.collect.formats.html_boilerplate import cues

SENTENCE = "The council met on Tuesday evening and voted, after a long debate, to keep the old bridge open. "
NEWS = f"""<!doctype html><html><head><title>Bridge stays open - The Paper</title>
<meta property="og:type" content="article"><style>p {{color: red}}</style></head><body>
<header class="site-header"><ul class="menu"><li><a href="/">Home</a><li><a href="/sport">Sport</a></ul></header>
<div class="layout has-sidebar"><article><h1>Bridge stays open</h1><p class="lead">{SENTENCE * 2}
<div class="share-buttons"><a href="#">Share this story with your friends</a></div>
<div class="article-body"><p>{SENTENCE * 3}<p>{SENTENCE}<figure><img src=x><figcaption>The bridge</figcaption></figure>
<h2>What it costs</h2><table><tr><th>Year<th>Cost<tr><td>2024<td>3 million</table>
<ul><li>First reason<li>Second reason</ul><pre>a  =  1
  b</pre><h2>Related stories</h2><ul><li><a href=1>Another story about bridges</a></ul></div></article>
<div id="comments"><p>{"I never liked that bridge, and I do not understand why anyone would. " * 3}</div>
<aside><p>{"Subscribe to our paper and read it every morning with your coffee. " * 2}</aside></div>
<footer>Copyright</footer><script>var p = "<p>no text</p>"</script></body></html>"""


def fast(markup: str) -> str:
    return extract(markup, "fast").text


def test_news_page() -> None:
    page = extract(NEWS, "fast")
    assert page.title == "Bridge stays open - The Paper"
    sentence = SENTENCE.strip()
    assert page.text == (
        f"{sentence} {sentence}\n\n{sentence} {sentence} {sentence}\n\n{sentence}\n\nWhat it costs\n\n"
        "Year | Cost\n2024 | 3 million\n\n- First reason\n- Second reason\n\na  =  1\n  b"
    )


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_every_extractor_takes_the_article(extractor: str) -> None:
    text = extract(NEWS, extractor).text
    assert SENTENCE.strip() in text
    assert "Home" not in text and "Copyright" not in text and "no text" not in text


def test_unknown_extractor() -> None:
    with pytest.raises(ValueError, match="slow"):
        extract("", "slow")


def test_precise_falls_back_to_fast() -> None:
    assert extract("<p>x", "precise").text == "x"


def test_a_name_does_not_drop_what_holds_the_page() -> None:
    page = f'<body class="single-comment"><div class="sidebar"><p>{SENTENCE * 4}</div><div class=sidebar>Ad</div>'
    assert fast(page) == " ".join([SENTENCE.strip()] * 4)


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>one<p>two", "one\n\ntwo"),
        ("<p>a<b>b</p>c", "ab\n\nc"),
        ("<div>a</p>b</div>", "a\n\nb"),
        ("a<br>b<br/><br>c", "a\nb\n\nc"),
        ("<ul><li>a<ul><li>b</ul><li>c</ul>", "- a\n- b\n- c"),
        ("<dl><dt>term<dd>meaning</dl>", "term\n\nmeaning"),
        ("<table><tr><td>a<td>b<tr><td>c</table>d", "a | b\nc\n\nd"),
        ("<table><tr><td><table><tr><td>x<td>y</table><td>z</table>", "x | y\nz"),
        ("<pre>\n a\n\tb &lt;c&gt;</pre>", " a\n\tb <c>"),
        ("<p>caf&eacute; &#8364; &#x20AC; &amp;lt; &unknown; &", "café € € &lt; &unknown; &"),
        ("<p>no&nbsp;break \u00a0 soft&shy;hyphen zero\u200bwidth", "no break softhyphen zerowidth"),
        ("<p>a<!-- <p>x --> b<!---->c<!--> d", "a bc d"),
        ("a<!-- never closed <p>b", "ab"),
        ("<p>1 < 2 and 3 > 2 <3", "1 < 2 and 3 > 2 <3"),
        ("<![CDATA[ 1 < 2 ]]> three", "1 < 2 three"),
        ("<p title='a > b'>c", "c"),
        ("<p title='never closed>a<p>b", "a\n\nb"),
        ("<script>if (a < b) '<p>x'</script><p>y", "y"),
        ("<textarea>never closed <p>z", "never closed\n\nz"),
        ("<p>nul\0byte", "nulbyte"),
        ("<P CLASS=x>UP</P ><custom-tag>own</custom-tag>", "UP\n\nown"),
        ("<svg><title>icon</title><text>x</text></svg>seen", "seen"),
        ("<noscript><p>please enable</noscript><p>seen", "seen"),
        ("<p>seen</p><p style='display: none'>hidden</p><p hidden>too</p>", "seen"),
        ("<a href=x>link <div>block</div></a><p>text", "text"),
        ("<p>x <span class='headerlink'>#</span> y</p>", "x y"),
        ("plain", "plain"),
        ("<", "<"),
        ("</", ""),
        ("<a", ""),
        ("", ""),
    ],
)
def test_markup(markup: str, text: str) -> None:
    assert fast(markup) == text


@pytest.mark.parametrize(
    "title", ["<title>A &amp; B</title>", "<svg><title>no</title></svg><TITLE>\nA &amp;  B</title>"]
)
def test_title(title: str) -> None:
    assert extract(f"<head>{title}</head><h1>Heading</h1>", "fast").title == "A & B"


def test_heading_is_the_title_where_there_is_none() -> None:
    assert extract("<h1>Heading <i>one</i></h1><p>x", "fast").title == "Heading one"


DEEP = 50_000


@pytest.mark.parametrize(
    "markup",
    [
        "<div>" * DEEP + "x",
        "<b>" * DEEP + "x" + "</i>" * DEEP,
        "<table><tr><td>" * DEEP + "x",
        "<ul><li>" * DEEP + "x" + "</ul>" * DEEP,
        "<textarea>" * DEEP + "x",
        "<title>" * DEEP + "x",
        "<!--a>" * DEEP + "x",
        "<a b='" * (DEEP | 1) + ">x",
        "<article>" + "<div><h2><a href=1>a</a></h2>" * DEEP + "<p>x",
        "<div><b>Related posts</b>" * DEEP + "</div>" * DEEP + "<p>x",
        "<div>" * DEEP + "<p>9 comments</p>" * DEEP + "</div>" * DEEP + "<p>x",
    ],
)
def test_hostile_pages_take_linear_time(markup: str) -> None:
    """A quadratic scan of one of these would take minutes."""
    assert fast(markup).endswith("x")


def test_huge_line() -> None:
    words = "word " * 2_000_000
    assert len(fast(f"<p>{words}")) == len(words) - 1


def test_more_blocks_than_are_kept_run_on() -> None:
    count = (1 << 19) + 10
    assert fast("<p>x" * count).count("x") == count


PIECES = """<p> </p> <div> </div> <div/class=comment> <a/href=x> </a> <b> </b> <li> <ul> </ul> <table> <tr> <td>
</table> <pre> </pre> <br> <h1> </h1> <!-- --> <script> </script> <svg> </svg> <article> </article> <title> </title>
&amp; &nbsp; < > word <span/hidden> </span> <select> <option> <form> </form> <![CDATA[ ]]> <math> é 中"""
TOKENS = st.sampled_from([*PIECES.split(), "\ud800", "\0", " "])


@settings(deadline=None, max_examples=300)
@given(st.lists(TOKENS | st.text(max_size=5), max_size=60))
def test_any_markup_gives_text(parts: list[str]) -> None:
    page = extract("".join(parts), "fast")
    assert "\0" not in page.text
    page.text.encode()


class Words(HTMLParser):
    """The words of well-formed markup, by the standard library."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found += data.split()


INLINE = st.sampled_from(["b", "i", "em", "code", "span"])
OUTER = st.sampled_from(["p", "h2", "pre"])


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(OUTER, INLINE, st.text("abc é&<>\n", min_size=1)), min_size=1, max_size=20))
def test_no_word_of_plain_markup_is_lost(parts: list[tuple[str, str, str]]) -> None:
    escape = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
    body = "".join(f"<{o}>start <{i}> {t.translate(escape)} </{i}> end</{o}>" for o, i, t in parts) + "<p>last</p>"
    parser = Words()
    parser.feed(body)
    assert fast(body).split() == parser.found


def section(name: str, heading: str, element: str = "section", text: str = "The text of this part. ") -> str:
    return f'<{element} id="{name}"><h2>{heading}</h2><p>{text * 4}</p></{element}>'


SLUGS = ("Sharing data between threads", "Related work", "Comments and docstrings", "Cookie handling", "Cookies")


@pytest.mark.parametrize("form", ["{}", "s-{}", "{}-1"])
@pytest.mark.parametrize("heading", SLUGS)
@pytest.mark.parametrize("number", ["", "2.1.3. "])
def test_an_id_made_from_its_heading_says_nothing(heading: str, form: str, number: str) -> None:
    """As Sphinx, docutils, Django, MkDocs and others make them."""
    name = form.format(heading.lower().replace(" ", "-"))
    link = f'{number}{heading}<a class="headerlink" href="#{name}">¶</a>'
    for part in (
        section(name, link),
        section(name, f'<span id="{name}"></span>{link}'),
        f'<div><h2 id="{name}">{link}</h2><p>{"The text of this part. " * 4}</p></div>',
    ):
        found = fast(f"<title>x</title><main><p>{SENTENCE * 9}</p>{part}<p>{SENTENCE * 9}</p></main>")
        assert f"{number}{heading}\n\nThe text of this part." in found


def test_an_id_of_a_name_in_a_program_says_nothing() -> None:
    name = "http.cookies.SimpleCookie"
    page = f'<dl><dt id="{name}">class {name}(input)</dt><dd><p>{SENTENCE * 5}</p></dd></dl>'
    assert fast(page).startswith(f"class {name}(input)")
    assert "print(*objects)" in fast(f'<dl><dt id="print">print(*objects)</dt><dd><p>{SENTENCE * 5}</p></dd></dl>')


@pytest.mark.parametrize(
    ("name", "heading"),
    [("related", "Also of interest"), ("comments", "3 Comments"), ("cookie-banner", "We value your privacy")],
)
def test_other_ids_still_tell_boilerplate(name: str, heading: str) -> None:
    text = "What others write. "
    page = f"<div><p>{SENTENCE * 9}</p>{section(name, heading, 'div', text)}</div>"
    assert text.strip() not in fast(page)


def test_words_in_code_are_no_cues() -> None:
    code = '<span class="token comment"># what it does</span>\nx = 1\n\n<span class="related">y</span> = 2'
    assert fast(f"<p>{SENTENCE * 5}</p><pre><code>{code}</code></pre>").endswith("# what it does\nx = 1\n\ny = 2")


def test_a_page_of_headings_alone() -> None:
    assert fast("<h1>Shop</h1><h2>Opening hours</h2><h3>Contact</h3>") == "Shop\n\nOpening hours\n\nContact"


@pytest.mark.parametrize(
    "style", ["visibility: hidden", "color:red;VISIBILITY:hidden !important", "visibility:collapse", "display:none"]
)
def test_what_is_not_to_be_seen(style: str) -> None:
    assert fast(f"<p>The page that is shown.</p><p style='{style}'>The text that is not shown.</p>") == (
        "The page that is shown."
    )


def test_an_article_that_a_script_shows_later_stays() -> None:
    assert SENTENCE.strip() in fast(f'<p>Subscribe now!</p><div style="display: none"><p>{SENTENCE * 9}</p></div>')


def test_cues_are_what_the_scanner_can_meet() -> None:
    """Words are of letters, pairs of two words; a name may hold more but no blank."""
    assert all(re.fullmatch(r"[a-z]+( [a-z]+)?|=[a-z0-9-]+", cue) for cue in cues())


def test_lines_of_code_in_elements_are_lines() -> None:
    lines = "<pre><div>def f(x):</div><div>    return x</div></pre>"
    assert fast(f"<p>{SENTENCE}</p>{lines}").endswith("\n\ndef f(x):\n    return x")
    numbered = (
        f"<table><tr><td class=linenos><pre>1\n2</pre><td><pre>def f(x):\n    return x</pre></table><p>{SENTENCE}"
    )
    assert fast(numbered).startswith("def f(x):\n    return x\n\n")


def test_a_heading_that_is_a_button_is_a_heading() -> None:
    page = f"<p>{SENTENCE}</p><h3><button>What is it?</button></h3><p>{SENTENCE}</p><p><button>Buy</button></p>"
    assert fast(page) == f"{SENTENCE.strip()}\n\nWhat is it?\n\n{SENTENCE.strip()}"


def test_annotations_of_formulas_are_not_shown() -> None:
    formula = "<math><semantics><mrow><mi>a</mi></mrow><annotation encoding='application/x-tex'>\\a</annotation>"
    other = "<annotation-xml><ci>a</ci></annotation-xml></semantics></math>"
    assert fast(f"<p>The area {formula}{other} is large. {SENTENCE}</p>") == f"The area a is large. {SENTENCE.strip()}"


@pytest.mark.parametrize("name", ["latex", "tex", "math", "mwe-math-fallback-image-inline mw-invert"])
def test_the_alternative_text_of_a_formula_is_the_formula(name: str) -> None:
    """Pages of mathematics read `we are given objects , each of which` where a picture shows it."""
    hidden = '<span style="display: none;"><math><mi>x</mi></math></span>'
    image = f'<img src="/1.png" class="{name}" aria-hidden="true" alt="x_{{1}} &lt; \\dots">'
    page = (
        f'<p>Given are objects {hidden}{image}, each of which has <i>a</i> place.</p><p>More <img alt="no" src=1></p>'
    )
    assert fast(page) == "Given are objects x_{1} < \\dots, each of which has a place.\n\nMore"
    assert "dots" not in fast(f"<p>Text {image.replace('src', 'hidden src')} goes on and on for some time.</p>")


def test_elements_of_xhtml_close_themselves() -> None:
    page = f"<head><script src=x /><title/></head><body><p>{SENTENCE}</p><script>1</script></body>"
    assert fast(f'<?xml version="1.0"?><html>{page}</html>') == SENTENCE.strip()
