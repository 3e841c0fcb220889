"""The scanner: nodes, blocks, links and cues of small pages, and its hash against a plain one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.html import scan
from kernels.html_tree import CUES, CUES_OF_ID, END, KIND_OF, LINK, NODE, PARENT, START
from kernels.markup import HIDES, words
from kernels.tags import NAMES, TAG, find, fnv, table

CUE_TABLE = table({fnv(b"share"): 1, fnv(b"post body"): 2, fnv(b"=nav"): 4})


def scanned(markup: str) -> list[tuple[str, str, int]]:
    """(element, text, bytes in links) of every block."""
    nodes, blocks, text, _ = scan(np.frombuffer(markup.encode(), dtype=np.uint8), CUE_TABLE)
    assert (nodes[1:, PARENT] < np.arange(1, len(nodes))).all()
    assert (blocks[:, LINK] <= blocks[:, END] - blocks[:, START]).all()
    return [
        (NAMES[nodes[block[NODE], KIND_OF]], text[block[START] : block[END]].tobytes().decode(), int(block[LINK]))
        for block in blocks
    ]


@pytest.mark.parametrize(
    ("markup", "blocks"),
    [
        ("<p>a <a href=x>link</a> b", [("p", "a link b", 4)]),
        ("<p><a name=x>no link</a>", [("p", "no link", 0)]),
        ("<a href=x>one<a href=y>two</a>three", [("", "onetwothree", 6)]),
        ("<p><a href=x>never ended</p><p>text", [("p", "never ended", 11), ("p", "text", 0)]),
        ("<div>a<p>b<div>c</div>d</div>", [("div", "a", 0), ("p", "b", 0), ("div", "c", 0), ("div", "d", 0)]),
        ("<td>a</div>b", [("td", "ab", 0)]),
        ("<p>He: <q>a <q>b</q> c</q> d</q>", [("p", "He: “a ‘b’ c” d", 0)]),
        ("<q><q><q></q>a<p>b", [("", "“‘“”a", 0), ("p", "b", 0)]),
    ],
)
def test_blocks(markup: str, blocks: list[tuple[str, str, int]]) -> None:
    assert scanned(markup) == blocks


@pytest.mark.parametrize(
    ("name", "cue"),
    [("share", 1), ("SHARE-box", 1), ("boxShare", 1), ("shared", 0), ("post-body", 2), ("post body", 0),
     ("postBody", 2), ("nav", 4), ("nav-item", 0), ("x nav", 4), ("share2 nav", 5), ("", 0)],
)  # fmt: skip
def test_words(name: str, cue: int) -> None:
    data = np.frombuffer(name.encode(), dtype=np.uint8)
    assert words(data, 0, len(data), CUE_TABLE) == cue


@pytest.mark.parametrize(
    ("attributes", "cue"),
    [("class=share", 1), ("id='share' class=\"nav\"", 5), ("data-class=share", 0), ("hidden", HIDES),
     ("style='color: red; display : none'", HIDES), ("style='visibility:hidden !important'", HIDES),
     ("style='visibility: visible'", 0), ("style=display:block", 0), ("aria-hidden=false", 0)],
)  # fmt: skip
def test_attributes(attributes: str, cue: int) -> None:
    nodes, _, _, _ = scan(np.frombuffer(f"<div {attributes}>x".encode(), dtype=np.uint8), CUE_TABLE)
    assert nodes[1, CUES] | nodes[1, CUES_OF_ID] == cue
    assert nodes[1, KIND_OF] == TAG["div"]


@given(st.dictionaries(st.integers(0, 2**32 - 1), st.integers(1, 2**16), max_size=50), st.integers(0, 2**32 - 1))
def test_table_finds_what_it_holds(values: dict[int, int], other: int) -> None:
    slots = table(values)
    assert {key: find(slots, key) for key in values} == values
    assert find(slots, other) == values.get(other, 0)
