"""Precision and recall on synthetic documents whose spans are known, and that redaction changes nothing else."""

from collections import Counter

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.text.pii import Span, luhn, redact, span_lists, spans, spans_of

HITS = {
    "email": ["jane.doe@example.com", "a@b.co", "first_last+tag@mail.example.co.uk", "X99@sub-domain.example.org"],
    "ipv4": ["68.8.8.8", "151.101.1.140", "193.99.144.80"],
    "ipv6": ["2001:4860:4860::8888", "2a00:1450:4001:81b::200e", "2606:4700:4700:0:0:0:0:1111"],
    "credit_card": [
        "4111111111111111",
        "4111 1111 1111 1111",
        "5500-0000-0000-0004",
        "378282246310005",
        "3782 822463 10005",
    ],
    "ssn": ["219-09-9999", "078-05-1120"],
    "phone": [
        "(415) 555-2671",
        "415-555-2671",
        "415.555.2671",
        "+1 415 555 2671",
        "1-800-555-0199",
        "+44 20 7946 0958",
    ],
}
MISSES = [
    "127.0.0.1",
    "26.6.2.2",
    "git@github.com:a/b",
    "192.168.0.1",
    "10.0.0.300",
    "0.0.0.0",
    "version v1.2.3.4.5",
    "4111111111111112",
    "1234567890123456",
    "000-12-3456",
    "666-12-3456",
    "900-12-3456",
    "123-00-4567",
    "2024-05-06",
    "12:30:45",
    "std::vector::push",
    "fe80::1",
    "::1",
    "user@localhost",
    "@decorator",
    "a @ b",
    "3.14159265358979",
    "100 200 3000",
    "1,234,567.89",
    "0x1234-5678",
    "5.10.0-28",
    "ISBN 978-3-16-148410-0",
    "00:1A:2B:3C:4D:5E",
    "1/2/2003",
    "x[1:2:3]",
    "x[1::2]",
    "a::b",
    "dead::beef",
    "0000000000000000",
    "1990-1999",
    "555-1234",
    "$123-456-7890123",
    "2001-02-03",
    "+1",
    "+100 apples",
    "e=mc2",
    "10:20:30:40:50:60",
]
FILL = [
    "The meeting",
    "was held in",
    "room",
    "42",
    "by",
    "foo(bar)",
    "x = 3",
    "in 1999,",
    "see §4.2.1:",
    "中文",
    "👍",
    "—",
    "price 12.50",
]


def synthetic(n: int, seed: int) -> list[tuple[str, list[Span]]]:
    """n documents of harmless pieces with PII and things that look like it between them."""
    generator = np.random.Generator(np.random.PCG64(seed))
    kinds = list(HITS)
    documents = []
    for _ in range(n):
        text, known = "", []
        for _ in range(generator.integers(1, 15)):
            draw = generator.random()
            if draw < 0.25:
                kind = kinds[generator.integers(len(kinds))]
                piece = HITS[kind][generator.integers(len(HITS[kind]))]
                known.append(Span(kind, len(text), len(text) + len(piece)))
            elif draw < 0.5:
                piece = MISSES[generator.integers(len(MISSES))]
            else:
                piece = FILL[generator.integers(len(FILL))]
            text += piece + [", ", ". ", "\n", "; ", ") "][generator.integers(5)]
        documents.append((text, known))
    return documents


def test_each_known_form() -> None:
    for kind, forms in HITS.items():
        for form in forms:
            for before, after in (("", ""), ("x ", "."), ("(", ")"), ("\n", "\n"), ("é ", ","), ("“", "”")):
                expected = [Span(kind, len(before), len(before) + len(form))]
                assert spans(before + form + after) == expected, before + form + after


def test_look_alikes() -> None:
    for text in MISSES:
        assert spans(text) == [], text


def test_precision_and_recall() -> None:
    found, known = Counter(), Counter()
    right = Counter()
    for i, (text, expected) in enumerate(synthetic(2000, seed=11)):
        got = spans(text)
        found.update(span.kind for span in got)
        known.update(span.kind for span in expected)
        right.update(span.kind for span in set(got) & set(expected))
        assert redact(text, expected).count("<") == len(expected), i
    for kind in HITS:
        assert right[kind] / found[kind] >= 0.99, kind
        assert right[kind] / known[kind] >= 0.99, kind


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab@.:-() +0123456789é\n")), st.integers(0, 2**32))
def test_redaction_changes_nothing_else(noise: str, seed: int) -> None:
    text = noise + "\n" + synthetic(1, seed)[0][0]
    found = spans(text)
    assert all(a.end <= b.start for a, b in zip(found, found[1:], strict=False))
    changed = redact(text, found)
    kept = [
        text[a.end : b.start]
        for a, b in zip([Span("", 0, 0), *found], [*found, Span("", len(text), len(text))], strict=True)
    ]
    rest = changed
    for i, piece in enumerate(kept):
        assert rest.startswith(piece)
        rest = rest[len(piece) :]
        if i < len(found):
            assert rest.startswith(f"<{found[i].kind}>")
            rest = rest[len(found[i].kind) + 2 :]
    assert rest == ""


def test_the_prefilter_loses_nothing() -> None:
    texts = [text for text, _ in synthetic(500, seed=12)]
    texts += ["", *(form for forms in HITS.values() for form in forms)]
    assert spans_of(pl.Series(texts)) == [spans(text) for text in texts]
    assert spans_of(pl.Series([], dtype=pl.String)) == []


def test_spans_as_a_column() -> None:
    found = [[], spans("a@b.co and c@d.org"), [], spans("mail e@f.net")]
    column = span_lists(found)
    assert [[Span(**span) for span in own] for own in column.to_list()] == found
    for other in ([], [[]], [[], []]):
        assert span_lists(other).to_list() == other
        assert span_lists(other).dtype == column.dtype


def test_small_numbers_are_an_address_only_after_a_word_of_hosts() -> None:
    assert spans("as section 8.8.8.8 says") == []
    for before in ("ping ", "IP address: ", "http://", "root@", "DNS server "):
        text = before + "8.8.8.8"
        assert [span.kind for span in spans(text)] == ["ipv4"], text


def test_luhn() -> None:
    assert luhn("79927398713")
    assert not any(luhn(f"7992739871{digit}") for digit in "012456789")


def test_edges_and_hostile_text_take_linear_time() -> None:
    for text in (
        "",
        "\0",
        "é",
        "@" * 100_000,
        "a" * 300_000 + "@",
        "1-" * 100_000,
        "1." * 100_000,
        "a:" * 100_000,
        "1" * 200_000,
        "a." * 100_000 + "@b",
        "a@" + "b." * 100_000,
        "+12 " + "34 " * 100_000,
    ):
        assert isinstance(spans(text), list)
