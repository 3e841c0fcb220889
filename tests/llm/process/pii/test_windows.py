"""Candidates are looked at through windows around them; a whole text, read at once, gives the same spans."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.process.pii.find import spans_of
from tests.llm.process.pii.forms import HITS, MISSES
from tests.llm.process.pii.pii_corpus import documents
from tests.llm.process.pii.whole_text import spans

PIECES = [
    *(form for forms in HITS.values() for form in forms),
    *MISSES,
    "Tel: ",
    "phone number is ",
    "TÉL no.: ",
    "тел",
    "WhatsApp\n",
    '"phone": "',
    "phone_number=",
    "<phone>",
    "电话：",
    "Τηλ. ",
    "هاتف ",
    "=",
    "o'",
    "u'",
    "jane",
    "00 1 0 ",
    "ssn ",
    "version ",
    "//",
    "é",
    "中",
    "👍",
    "\n",
]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.lists(
            st.one_of(
                st.sampled_from(PIECES),
                st.text(
                    alphabet=st.sampled_from("aBDEZu'@.:-()/+_ 0123456789éи中\n*^%\u00a0\u2011\u2013"), max_size=12
                ),
                st.integers(0, 10**6).map(lambda seed: next(documents(1, seed))[0]),
            ),
            max_size=6,
        ).map("".join),
        max_size=4,
    )
)
def test_windows_around_candidates_give_what_the_whole_text_gives(texts: list[str]) -> None:
    assert spans_of(pl.Series(texts, dtype=pl.String)) == [spans(text) for text in texts]


def test_a_number_after_two_kinds_of_which_the_second_begins_first() -> None:
    """Its place was one too far: the first digit stayed in the text and the comma after it went."""
    for text in ("+50.130.174.107. social security number 767988130, x", "fax 415-555-2671@b.co, ssn 767988130, x"):
        assert spans_of(pl.Series([text])) == [spans(text)]


def test_windows_give_the_same_on_many_documents() -> None:
    texts = [text for text, _ in documents(1500, seed=12)] + PIECES + ["", "".join(PIECES), " ".join(PIECES)]
    column = pl.Series([*texts, None])
    assert spans_of(column) == [*(spans(text) for text in texts), []]


def test_a_text_of_nothing_but_candidates() -> None:
    text = "a@b.co " * 3000
    assert len(spans_of(pl.Series([text]))[0]) == 3000
