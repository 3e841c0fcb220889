"""reStructuredText: what was lost or left of documentation of forty projects, and what became of it."""

import pytest

from llm.collect.formats.rst import prose


@pytest.mark.parametrize("name", ["Note", "WARNING", "Admonition", "SeeAlso", "note "])
def test_names_of_directives_may_be_capitals_with_a_blank_behind(name: str) -> None:
    assert prose(f".. {name}::\n   This is said.") == "   This is said."


@pytest.mark.parametrize(
    ("directive", "text"),
    [
        (".. change::\n   :tags: bug, orm\n   :tickets: 1,\n      2\n\n   This was mended.", "   This was mended."),
        (".. variable:: CMAKE_X\n\n  This is one.", "CMAKE_X\n\n  This is one."),
        (".. hlist::\n   :columns: 2\n\n   - one\n   - two", "   - one\n   - two"),
        (".. py:coroutinemethod:: read(n)\n\n   It reads.", "read(n)\n\n   It reads."),
        (".. div:: some-class\n\n   .. tab-set::\n\n      It is here.", "      It is here."),
        (".. rst-class:: wide\n\n   It is here.", "   It is here."),
        (".. prompt:: bash $\n\n   ls -l", "   ls -l"),
        (".. autoclass:: Foo\n   :members: a,\n      b\n\n   It is one.", "Foo\n\n   It is one."),
        (".. doctest-skip:: scipy\n\n   >>> f()", "   >>> f()"),
    ],
)
def test_directives_that_nothing_is_known_of_keep_their_content(directive: str, text: str) -> None:
    assert prose(f"Before.\n\n{directive}\n\nAfter.") == f"Before.\n\n{text}\n\nAfter."


@pytest.mark.parametrize(
    "directive",
    [
        ".. autoclass:: Foo\n   :members: a,\n      b",
        ".. autoclass:: Foo\n\n   .. automethod:: f",
        ".. autoclass:: Foo\n\n   .. rubric:: Methods\n\n   .. autosummary::\n\n      ~Foo.f",
        ".. toctree::\n   :maxdepth: 2\n\n   a\n   b",
        ".. Image:: x.png\n   :alt: A picture of\n      something",
        ".. graphviz::\n\n   digraph { a -> b }",
        ".. unknown:: name",
        "..\n   A comment.\n\n   It goes on.",
        ".. _label: https://example.org/a\n   b",
        "__ https://example.org",
    ],
)
def test_what_is_no_prose_goes(directive: str) -> None:
    assert prose(f"Before.\n\n{directive}\n\nAfter.") == "Before.\n\nAfter."


def test_a_target_and_an_empty_comment_end_at_an_empty_line() -> None:
    assert prose(".. _label:\n\n   A quotation.\n\nMore.") == "   A quotation.\n\nMore."
    assert prose("- Item.\n\n..\n\n   A quotation.") == "- Item.\n\n   A quotation."


def test_a_footnote_may_begin_on_its_next_line() -> None:
    assert (
        prose("A [#]_.\n\n.. [#]\n   The note.\n\n.. [Knuth] A book.")
        == "A [#]_.\n\n[#]\n   The note.\n\n[Knuth] A book."
    )


def test_substitutions_are_made() -> None:
    source = (
        "Python |Least version| or |logo| later |c| by |unknown|, |long|_.\n\n"
        ".. |least version| replace:: 3.10\n.. |logo| image:: x.png\n   :width: 3\n.. |c| unicode:: U+00A9 .. sign\n"
        ".. |long| replace:: A long\n   text"
    )
    assert prose(source) == "Python 3.10 or  later © by |unknown|, A long\n   text.".replace("\n  ", "")


def test_roles_beside_words() -> None:
    assert prose(r"The :math:`n`\ th of `~numpy.linalg.norm` and\ :func:`f`.") == "The $n$th of `norm` andf."


def test_signs_of_markup_that_are_escaped() -> None:
    source = "numpy.full\\_like\n================\n\nOf \\*args, ``a\\_b`` and::\n\n   c\\_d"
    assert prose(source) == "numpy.full_like\n================\n\nOf \\*args, ``a\\_b`` and::\n\n   c\\_d"
    assert prose("It takes \\*args.") == "It takes *args."
