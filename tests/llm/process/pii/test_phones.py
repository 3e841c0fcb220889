"""Phones that a word announces, in data and in several languages, and numbers that look like phones."""

from llm.process.pii.phones import PHONES
from llm.process.pii.spans import Span
from tests.llm.process.pii.whole_text import spans


def test_a_word_announces_a_phone_in_data_and_in_other_languages() -> None:
    for text, number in (
        ('{"phone": "2123 4567"}', "2123 4567"),
        ("{'cellphone':'555-4444'}", "555-4444"),
        ("phone_number=5551234", "5551234"),
        ('"phoneNumber" => "555 1234"', "555 1234"),
        ("<phone>21234567</phone>", "21234567"),
        ("电话：2123 4567", "2123 4567"),
        ("電話番号: 2123 4567", "2123 4567"),
        ("전화 2123 4567", "2123 4567"),
        ("هاتف: 2123 4567", "2123 4567"),
        ("Τηλ. 210 123 4567", "210 123 4567"),
        ("Tlf. 22 12 34 56", "22 12 34 56"),
        ("Tel.-Nr. 2123 4567", "2123 4567"),
        ("Rufnummer: 082 081 0890", "082 081 0890"),
        ("Tel 0065 8143 2316", "0065 8143 2316"),
        ("Rufnummer: 2123 4567", "2123 4567"),
        ("Contact no. 2123 4567", "2123 4567"),
    ):
        start = text.index(number)
        assert spans(text) == [Span("phone", start, start + len(number))], text
        assert spans(number) == [], number
        assert PHONES.match(text, start) is not None, text
    for text in (
        "graph 2123 4567",
        '"photo": "2123 4567"',
        "contact 2123 4567",
        "GSM 850/900/1800",
        "phone > 2123 4567",
    ):
        assert spans(text) == [], text


def test_numbers_after_an_equals_sign_are_phones_only_where_a_word_says_so() -> None:
    assert spans("x=415-555-2671") == []
    assert spans("phone=415-555-2671") == [Span("phone", 6, 18)]
    assert spans("x=+44 20 7946 0958") == [Span("phone", 2, 18)]
    assert spans("x=0044 20 7946 0958") == [Span("phone", 2, 19)]


def test_a_phone_with_zeros_for_a_plus_is_not_a_row_of_numbers() -> None:
    assert spans("0044 20 7946 0958") == [Span("phone", 0, 17)]
    for text in ("1 0044 20 7946 0958", "fc:0044 20 7946 0958", "0044 20 7946 0958 12345678 1", "0044 0020 7946"):
        assert spans(text) == [], text
