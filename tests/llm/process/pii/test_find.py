"""Precision and recall on synthetic documents whose spans are known, and that redaction changes nothing else."""

from collections import Counter

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.process.pii.find import spans_of
from llm.process.pii.patterns import ACCOUNTS, KINDS, luhn
from llm.process.pii.spans import Span, redact, span_lists
from tests.llm.process.pii.pii_corpus import MAKERS, documents
from tests.llm.process.pii.whole_text import spans

HITS = {
    "email": ["jane.doe@example.com", "a@b.co", "first_last+tag@mail.example.co.uk", "X99@sub-domain.example.org"],
    "ipv4": ["68.8.8.8", "151.101.1.140", "193.99.144.80"],
    "ipv6": [
        "2001:4860:4860::8888",
        "2a00:1450:4001:81b::200e",
        "2606:4700:4700:0:0:0:0:1111",
        "64:ff9b::8c52:7903:1:2",
        "a3f1:9c2d:11:7b0e:5:d4c8:ee01:9f",
        "fb1a:c2d3:e4f5:abcd:9f3e:1b2c:3d4e:5f6a",
        "1a2b:0:0:0:abc:0:0:9",
    ],
    "credit_card": [
        "4111111111111111",
        "4111 1111 1111 1111",
        "5500-0000-0000-0004",
        "378282246310005",
        "3782 822463 10005",
        "4000 0000 0000 0000 063",  # Visa of 19
        "180000000000002",  # JCB of 15
        "213100000000001",
        "501800000009",  # Maestro of 12
        "6759649826438453",
        "2200123456789019",  # Mir
        "5019123456789013",  # Dankort
        "6363 1234 5678 9013",  # InterPayment
        "6062821234567890",  # Hipercard
        "5090-1234-5678-9015",  # Elo
        "5060991234567895",  # Verve
        "9792123456789018",  # Troy
        "8600123456789012",  # UzCard
        "30912345678908",  # Diners Club
        "39123456789010",
    ],
    "ssn": ["219-09-9999", "078-05-1120"],
    "iban": [
        "DE89 3704 0044 0532 0130 00",
        "GB82WEST12345698765432",
        "NO9386011117947",
        "BE68 5390 0754 7034",
        "FR14 2004 1010 0505 0001 3M02 606",
        "MT84MALT011000012345MTLCAST001S",
        "de89 3704 0044 0532 0130 00",
        "gb82west12345698765432",
    ],
    "phone": [
        "(415) 555-2671",
        "415-555-2671",
        "415.555.2671",
        "+1 415 555 2671",
        "1-800-555-0199",
        "+44 20 7946 0958",
        "+44 (0)20 7946 0958",
        "01 23 45 67 89",
        "03-1234-5678",
        "+49 171 1234567",
        "(11) 91234-5678",
        "001-415-555-2671",
        "1415-555-2671",
        "001-415-555-2671x12345",
        "(415)555-2671x12",
        "415.555.2671 ext. 12",
        "+1-415-555-2671x123",
        "+44 20 7946 0958 #12",
        "+44 20 7946 0958;ext=12",
        "+1 415 555 2671 extn. 123",
        "+55 11 2345-6789 ramal 12",
        "+40 21 123 4567 int 9051",
        "+500 31234",  # countries of short numbers
        "+290 8999",
        "+690 3101",
        "+676 20-123",
        "+7 71234 5 67 89",
        "+225 21 23 4 56789",
        "030 123456",  # trunk and area, then the number as one
        "0664 123456",
        "06 12345678",
        "01512 3456789",
        "0212-1234567",
        "02-7123 4567",  # more than one separator
        "03-2385 6789",
        "012-345 6789",
        "070-123 45 67",
        "08-728 541 03",
        "030 212-345",
        "011 2345-6789",
        "011 15-2345-6789",
        "01 234 567",
        "081234 56789",
        "(02) 123456",
        "(0-312) 34567",
        "(06 1) 234 5678",
        "(601) 2345678",
        "(65) 234 5678",
        "8 (771) 000 9998",
        "8 (71234) 5 67 89",
        "8 029 491-19-11",
    ],
}
MISSES = [
    "DE89 3704 0044 0532 0130 01",
    "DE8937040044053201300",
    "version 120.10.60.109",
    "logo@2x.png",
    "getty@tty1.service",
    "224.0.0.1",
    "193.99.144.0/24",
    "a[2000::5]",
    "01 02 03 04 05",
    "+999 123 456 789",
    "219 09 9999",
    "219099999",
    "4111111111111111*t**2",
    "127.0.0.1",
    "26.6.2.2",
    "4006381333931",  # a product of Germany
    "4222222222222 pieces",
    "4000000000000000063",
    "5018000000007",
    "de89370400440532013Z00",  # letters where Germany has digits
    "De89 3704 0044 0532 0130 00",
    "a1:b2:c3:d4:e5:f6:07:18",  # a name of hardware
    "fe80:0:0:0:1a2b:3c4d:5e6f:7a8b",
    "fd12:3456:789a:1:2:3:4:5",
    "12:30:45:678",
    "001-2-3",
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
    "7f3a fc:01 1180226 /lib/libc.so",  # a process's map of memory
    "+6901234\n+5003123",  # lines added
    "+210 12345",
    "+67859.989",
    "Telephone: +44\n(1494) 513",
    "02-1234567",  # an employer's number in the United States
    "05 2003 2004 2005 2006",
    "(12) 2003-2004",
    "02139 02140",
    "123 456 7890 1234",
    "2123 4567",  # eight digits of Hong Kong, and of anything
    "612 34 56 78",
    "8200123456789012",
]


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
    found, known, right = Counter(), Counter(), Counter()
    made = list(documents(3000, seed=11))
    for got, (_, expected) in zip(spans_of(pl.Series([text for text, _ in made])), made, strict=True):
        found.update(span.kind for span in got)
        known.update(span.kind for span in expected)
        right.update(span.kind for span in set(got) & set(expected))
    for kind in MAKERS:
        assert known[kind] > 500, kind
        assert right[kind] / found[kind] >= 0.98, kind
        assert right[kind] / known[kind] >= 0.98, kind


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab@.:-() +0123456789é\n")), st.integers(0, 2**32))
def test_redaction_changes_nothing_else(noise: str, seed: int) -> None:
    text = noise + "\n" + next(documents(1, seed))[0]
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


def test_numbers_that_only_a_word_before_them_makes_personal() -> None:
    for text, kind, number in (
        ("Social Security Number 219 09 9999", "ssn", "219 09 9999"),
        ("SSN:219099999", "ssn", "219099999"),
        ("Phone: 555-1234", "phone", "555-1234"),
        ("my mobile number is 98765 43210.", "phone", "98765 43210"),
        ("Tél. 0123456789", "phone", "0123456789"),
        ("тел. 495 123 45 67", "phone", "495 123 45 67"),
    ):
        start = text.index(number)
        assert spans(text) == [Span(kind, start, start + len(number))], text
        assert spans(number) == [], number


def test_a_match_that_is_not_valid_hides_none_that_follows() -> None:
    assert spans("1234 5678 9012 4111 1111 1111 1111")[-1] == Span("credit_card", 15, 34)


def test_an_address_in_the_name_of_a_file() -> None:
    assert spans("see/jane.doe@mail.example.com.html") == [Span("email", 4, 29)]
    assert spans("see logo@2x.example.com.png") == [Span("email", 4, 23)]


def test_tables() -> None:
    countries = list(ACCOUNTS)
    assert len(countries) == len(set(countries)) == 89
    assert [kind.name for kind in KINDS] == ["email", "ipv6", "ipv4", "iban", "credit_card", "ssn", "phone"]
