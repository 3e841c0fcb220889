"""Each format of markup on small texts of the kind that real sources hold: reStructuredText, HTML, MediaWiki."""

import bz2
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.collect.decompress import LIMITS
from llm.collect.documents import Report
from llm.collect.formats import html, mediawiki, rst
from llm.errors import InputError
from tests.llm.collect.formats.test_formats import archive, extracted

# ---- reStructuredText

RST = r"""
:orphan:

.. _target:

===========
Mean shift
===========

.. currentmodule:: sklearn.cluster

.. toctree::
   :maxdepth: 2

   one
   two

:class:`~sklearn.cluster.MeanShift` finds *blobs*, see :ref:`the guide <guide>` and [C2002]_; the update is
:math:`x + m(x)`:

.. math::
   :label: update

   m(x) = \frac{\sum_i x_i K(x_i - x)}{\sum_i K(x_i - x)}

.. a comment
   over two lines

.. note:: Mind the bandwidth.

.. image:: shift.png
   :width: 3

See `the paper <http://example.org>`_.

.. [C2002] Comaniciu, Mean shift.

>>> MeanShift()
"""


def test_rst() -> None:
    (document,) = extracted(rst, a__rst=RST)
    assert document.title == "Mean shift"
    assert document.text == (
        "===========\nMean shift\n===========\n\nMeanShift finds *blobs*, see the guide and [C2002]_; the update is\n"
        "$x + m(x)$:\n\n   m(x) = \\frac{\\sum_i x_i K(x_i - x)}{\\sum_i K(x_i - x)}\n\nMind the bandwidth.\n\n"
        "See the paper.\n\n[C2002] Comaniciu, Mean shift.\n\n>>> MeanShift()"
    )


def test_a_role_may_begin_a_sentence() -> None:
    """It looks like an option or a field (:orphan:): a document's first sentence and a note's were lost."""
    assert rst.prose(":orphan:\n:Author: me\n\n:class:`Foo` is one.\n\nMore.") == "Foo is one.\n\nMore."
    assert rst.prose(":class:`Foo` is one.\n\nMore.") == "Foo is one.\n\nMore."
    assert rst.prose(".. note::\n   :name: x\n   :func:`f` goes.\n\nMore.") == "   f goes.\n\nMore."
    assert rst.prose(".. versionchanged:: 1.2\n   :func:`f` goes.\n") == "1.2\n   f goes."


# ---- HTML

PAGE = """<html><head><title>std::sort - reference</title><script>var x</script></head><body>
<nav><a href="/">Home</a> <a href="/c">Containers</a></nav><h1>std::sort</h1>
<main><div class="toc">Contents</div><p>Sorts the elements in the range in <b>non-descending</b> order.</p>
<pre>std::sort(v.begin(),
          v.end());</pre><p>Complexity: O(N log N) &amp; more.</p></main>
<footer>Privacy policy</footer></body></html>"""


def test_html_takes_the_marked_content() -> None:
    (document,) = extracted(html, sort__html=PAGE)
    assert document.title == "std::sort - reference"
    assert document.text.startswith("std::sort\n\nSorts the elements in the range in non-descending order.")
    assert "std::sort(v.begin(),\n          v.end());" in document.text
    assert "O(N log N) & more." in document.text
    assert not any(word in document.text for word in ("Home", "Contents", "Privacy", "var x"))


@pytest.mark.parametrize("page", ["", "<html>", "<p>unclosed <b>text", "no markup at all", "<html><frameset></html>"])
def test_html_of_any_kind_is_survived(page: str) -> None:
    assert len(extracted(html, a__html=page)) == 1


# ---- MediaWiki

WIKI = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/"><siteinfo/>
<page><title>Autism</title><ns>0</ns><id>1</id>
<revision><id>2</id><text xml:space="preserve">%s</text></revision></page>
<page><title>Moved</title><ns>0</ns><redirect title="Autism"/>
<revision><text>#REDIRECT [[Autism]]</text></revision></page>
<page><title>Talk:Autism</title><ns>1</ns><revision><text>chat</text></revision></page>
</mediawiki>"""
WIKITEXT = """{{Infobox|name={{nested|a}}}}
[[File:x.jpg|thumb|A [[caption]] here]]
'''Autism''' is a [[developmental disorder|disorder]] of [[child]]ren.&lt;ref name="a"&gt;{{cite|b}}&lt;/ref&gt;
It&lt;ref name="a" /&gt; grew {{convert|5|km}} ({{lang|grc|αὐτός}}; {{citation needed}})
in ''most'' [http://example.org cases].&amp;nbsp;So.
{| class="wikitable"
| cell || {{template}}
|}
== Causes ==
* one
* &lt;math&gt;E = \\frac{m}{{n}}[c]&lt;/math&gt;
&lt;!-- hidden --&gt;
== References ==
{{reflist}}
[[Category:Disorders]]"""


def test_mediawiki() -> None:
    report = Report()
    (document,) = extracted(mediawiki, report, dump__xml=bz2.compress((WIKI % WIKITEXT).encode()))
    assert document.title == "Autism"
    assert document.part == "dump.xml#Autism"
    assert document.text == (
        "Autism\n\nAutism is a disorder of children.\nIt grew 5 km (αὐτός)\nin most cases. So.\n\nCauses\n\n- one\n"
        "- $E = \\frac{m}{{n}}[c]$"
    )
    assert report.skipped == {"redirect": 1, "not an article": 1}


def test_truncated_dump() -> None:
    data = bz2.compress((WIKI % WIKITEXT).encode())
    with pytest.raises(InputError, match="truncated or damaged"):
        extracted(mediawiki, dump__xml=data[:-20])
    for cut in (900, -20):
        with pytest.raises(InputError, match="not a whole <mediawiki>"):
            extracted(mediawiki, dump__xml=(WIKI % WIKITEXT)[:cut])
    with pytest.raises(InputError, match="not a whole <mediawiki>"):
        extracted(mediawiki, dump__xml="no dump at all")


@pytest.mark.parametrize(
    "broken",
    ["<page><title>B</title><revision><text>a & b</text></revision></page>", "<page><title>B</title><revision>",
     "<page>\x00</page>", "<page><b></page>", "<page>\ud800</page>"],
)  # fmt: skip
def test_a_broken_page_is_counted_and_the_others_stay(broken: str) -> None:
    report, dump = Report(), WIKI % WIKITEXT
    before, after = dump.index("<page>"), dump.index("</mediawiki>")
    page = dump[before : dump.index("</page>") + len("</page>")]
    dump = dump[:before] + broken + page + broken + dump[after:]
    found = extracted(mediawiki, report, dump__xml=dump.encode("utf-8", "surrogatepass"))
    assert [document.title for document in found] == ["Autism"]
    assert report.skipped == {"broken page": 2}
    assert report.problem.startswith("it: dump.xml: a page is not well-formed XML (")


def test_a_page_that_is_too_large_is_counted_and_revisions_are_not_summed() -> None:
    revision = "<revision><text>" + "words " * 500_000 + "</text></revision>"
    page = "<page><title>%s</title><ns>0</ns>%s</page>"
    dump = "<mediawiki>" + page % ("A", revision * 2) + page % ("B", revision.replace("words", "some words" * 3))
    opened = replace(archive(a__xml=dump + "</mediawiki>"), limits=replace(LIMITS, member=5_000_000))
    report = Report()
    assert [document.title for document in mediawiki.documents(opened, ["a.xml"], report)] == ["A"]
    assert report.skipped == {"too large": 1}


def test_a_dump_in_utf_16() -> None:
    (document,) = extracted(mediawiki, dump__xml=(WIKI % WIKITEXT).encode("utf-16"))
    assert document.text.startswith("Autism\n\nAutism is a disorder of children.")


def test_entity_bombs_do_not_go_off() -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE x [<!ENTITY e0 "boom">{entities}]><mediawiki><page><text>&e11;</text></page></mediawiki>'
    report = Report()
    assert extracted(mediawiki, report, dump__xml=bomb) == []
    assert report.skipped == {"broken page": 1}


def test_sections_of_links_go_wherever_they_stand() -> None:
    wikitext = (
        "Lead.\n== Gallery ==\nx\n=== Of it ===\ny\n== Legacy ==\nGreat.\n==See also==\n* [[Z]]\n== References ==\nr"
    )
    assert mediawiki.prose(wikitext) == "Lead.\n\nLegacy\n\nGreat."
    assert mediawiki.prose(wikitext.replace("\n== Legacy ==\nGreat.", "")) == "Lead."
    assert mediawiki.prose("== Notes ==\nx\n==== Deep ====\ny\n== Life ==\nz") == "Life\n\nz"


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("{{Infobox person\n| name = A\n| born = B\n\n'''A''' was.\n\nHe {{lang|la|vixit}}.\n== Life ==\nMore.",
         "A was.\n\nHe vixit.\n\nLife\n\nMore."),
        ("One {{cite [[a|b]] more\n\nTwo", "One cite b more\n\nTwo"),
        ("{| class=x\n|-\n! Head\n| cell\n\nProse after.", "Prose after."),
        ("See [[File:x.jpg and more", "See File:x.jpg and more"),
        ("A <ref>never closed. Text", "A never closed. Text"),
        ("A <math>x. Text", "A x. Text"),
        ("A {{ b {{ c }} d }} e [[ f {{ g ]] h", "A e f g h"),
        ("{{a|" * 60 + "b" + "}}" * 60 + " after", "after"),
        ("[http://x one] [http://y]two [http://z three", "one two [http://z three"),
        ("=== Level ==\n== Two ==  \n=x=", "= Level\n\nTwo\n\n=x="),
        ("{{{name|default}}} and {{a|{{{1}}}}} on {{{2}}}", "default and on"),
        ("<nowiki>[[no]] ''x'' {{t}} &lt;b&gt;</nowiki> on <nowiki>never", "[[no]] ''x'' {{t}} <b> on never"),
        ("He said:<blockquote>Go.</blockquote>So <div>they</div><p>went</p>on", "He said:\nGo.\nSo they\n\nwent\non"),
        ("{{blockquote|text=It is so.|author=A}} {{Quote|1=E = mc}} {{quotation|''a'' b|c}} {{cquote|x|quote=y}}",
         "It is so. E = mc a b y"),
        ("我用-{zh-hans:计算机;zh-hant:電腦}-写-{中国}-。-{A|zh-cn:巴士; zh-hk:公車;}--{T|zh:x}- -{R|1=2}-",
         "我用计算机写中国。巴士 1=2"),
        ("N-{2-methyl}-x -{zh:[[a|b]]}- -{en: -{never", "N-{2-methyl}-x b -{en: -{never"),
        ("&#" + "9" * 5000 + "; &#x41; \ue041", "\ufffd A \ue041"),
    ],
)  # fmt: skip
def test_what_is_opened_and_never_closed_hides_nothing(wikitext: str, text: str) -> None:
    assert mediawiki.prose(wikitext) == text


@given(st.text(alphabet="{}[]|'=<>ab\n", max_size=200))
def test_wikitext_of_any_kind_is_survived(wikitext: str) -> None:
    assert not set("{[") & set(mediawiki.prose("{{a}} [[b]]"))
    mediawiki.prose(wikitext)


@pytest.mark.parametrize(
    ("directive", "text"),
    [
        (".. function:: f(x, *, y)\n   :noindex:\n\n   Return the sum.", "f(x, *, y)\n\n   Return the sum."),
        (".. py:method:: A.f()\n\n   Return it.", "A.f()\n\n   Return it."),
        (".. option:: -v\n\n   Say more.", "-v\n\n   Say more."),
        (".. sidebar:: Tip\n\n   Look here.", "Tip\n\n   Look here."),
        (".. figure:: a.png\n   :alt: x\n\n   A caption.", "   A caption."),
        (".. only:: html\n\n   On the web.", "   On the web."),
        (".. container:: wide\n\n   Wide text.", "   Wide text."),
        (".. tabs::\n\n   .. tab:: Linux\n\n      Use apt.", "   Linux\n\n      Use apt."),
        (".. code-block:: python\n   :caption: x\n\n   x = 1", "   x = 1"),
        (".. autofunction:: f\n\n.. image:: a.png\n   :alt: x", ""),
        (".. deprecated-removed:: 3.1 3.3\n   Use g.", "3.1 3.3\n   Use g."),
    ],
)
def test_what_directives_say_stays_and_what_they_name_goes(directive: str, text: str) -> None:
    assert rst.prose(f"Before.\n\n{directive}\n\nAfter.") == f"Before.\n\n{text}\n\nAfter.".replace("\n\n\n\n", "\n\n")
