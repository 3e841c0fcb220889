"""Recall of phones and cards beside presidio's recognisers, form by form, on numbers that phonenumbers and Luhn's check
call valid, in sentences without a word of phones or cards.

    python -m venv ENV && ENV/bin/pip install presidio-analyzer phonenumbers
    python benchmarks/pii_forms.py ENV/bin/python

ENV's Python makes the sentences (this same file, which imports nothing of the project there) and says what presidio
finds; this one says what the project finds. A span counts if its beginning and end are right.
"""

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

SENTENCES = [
    "The entry reads {} and nothing else.",
    "We wrote down {} yesterday",
    "see {} (in the list)",
    "It was {}, he said.",
    "Note {}; then left",
]
ISSUERS = [  # name, first digits, length
    ("Visa", "4", 13), ("Visa", "4", 16), ("Visa", "4", 19), ("Mastercard", "51", 16), ("Mastercard", "55", 16),
    ("Mastercard", "2221", 16), ("Mastercard", "2720", 16), ("American Express", "34", 15),
    ("American Express", "37", 15), ("Discover", "6011", 16), ("Discover", "65", 16), ("Discover", "644", 16),
    ("UnionPay", "62", 16), ("UnionPay", "62", 19), ("Diners", "36", 14), ("Diners", "305", 14), ("JCB", "3530", 16),
    ("JCB", "2131", 15), ("JCB", "1800", 15), ("Maestro", "5018", 12), ("Maestro", "6759", 16),
    ("Maestro", "6304", 19), ("Mir", "2200", 16), ("RuPay", "6521", 16), ("Verve", "506099", 16),
    ("Troy", "9792", 16), ("Elo", "636368", 16), ("Hipercard", "606282", 16), ("Dankort", "5019", 16),
    ("InterPayment", "636", 16),
]  # fmt: skip
EXTENSIONS = [" ext. ", "x", " x", " ext ", " #", ", ext "]
Case = tuple[str, str, str, int, int]  # kind, form, text, begin and end of the number


def main(python: str) -> None:
    import polars as pl

    from llm.process.pii.find import spans_of

    cases = json.loads(subprocess.run([python, __file__, "--make"], capture_output=True, text=True, check=True).stdout)
    ours = spans_of(pl.Series([text for _, _, text, _, _, _ in cases]))
    known, right, theirs = Counter(), Counter(), Counter()
    for (kind, form, _, begin, end, found), own in zip(cases, ours, strict=True):
        for row in (f"{kind}, {form}", kind):
            known[row] += 1
            right[row] += (kind, begin, end) in own
            theirs[row] += found
    print(f"{'':40}{'numbers':>8}{'ours':>8}{'presidio':>10}")
    for row in sorted(known):
        print(f"{row:40}{known[row]:8,}{right[row] / known[row]:8.3f}{theirs[row] / known[row]:10.3f}")


def print_cases() -> None:
    """Print every case, and whether presidio finds it, as JSON; runs in presidio's environment."""
    from presidio_analyzer.predefined_recognizers import CreditCardRecognizer, PhoneRecognizer

    recognisers = {"phone": (PhoneRecognizer(), "PHONE_NUMBER"), "credit_card": (CreditCardRecognizer(), "CREDIT_CARD")}
    chance = random.Random(7)
    rows = []
    for kind, form, text, begin, end in [*phones(chance), *cards(chance)]:
        recogniser, entity = recognisers[kind]
        found = recogniser.analyze(text, [entity], None) or []
        rows.append((kind, form, text, begin, end, any((span.start, span.end) == (begin, end) for span in found)))
    print(json.dumps(rows))


def phones(chance: random.Random) -> Iterator[Case]:
    """phonenumbers' example of each region's fixed and mobile lines, and three with random digits, in each form."""
    import phonenumbers
    from phonenumbers import PhoneNumberFormat

    for example in examples():
        for which, number in [("example", example), *(("random", other) for other in others(example, chance))]:
            whole = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
            forms = {
                "international": whole,
                "ungrouped": phonenumbers.format_number(number, PhoneNumberFormat.E164),
                "national": phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL),
                "extension": f"{whole}{chance.choice(EXTENSIONS)}{chance.randint(10, 9999)}",
            }
            if number.country_code == 1:
                forms["001-"] = f"001-{whole[3:]}"
            for form, written in forms.items():
                yield in_sentence("phone", f"{which}, {form}", written, chance)


def examples() -> Iterator:
    """phonenumbers' example of each region's fixed and mobile lines."""
    import phonenumbers
    from phonenumbers import PhoneNumberType

    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for line in (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE):
            example = phonenumbers.example_number_for_type(region, line)
            if example is not None:
                yield example


def others(example, chance: random.Random) -> Iterator:
    """Up to three valid numbers that begin like `example`."""
    import phonenumbers

    digits, found = phonenumbers.national_significant_number(example), 0
    for _ in range(400):
        keep = chance.randint(0, 2)
        tail = "".join(chance.choice("0123456789") for _ in digits[keep:])
        try:
            number = phonenumbers.parse(f"+{example.country_code}{digits[:keep]}{tail}")
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            found += 1
            yield number
        if found == 3:
            return


def cards(chance: random.Random) -> Iterator[Case]:
    """Twelve of each issuer and length, ungrouped, with blanks and with hyphens."""
    for name, first, length in ISSUERS:
        for i in range(12):
            body = first + "".join(chance.choice("0123456789") for _ in range(length - 1 - len(first)))
            number = next(body + digit for digit in "0123456789" if check_sum(body + digit) % 10 == 0)
            cuts = [4, 10] if length in (14, 15) else [cut for cut in (4, 8, 12, 16) if cut < length]
            gap = ["", " ", "-"][i % 3]
            written = gap.join(number[a:b] for a, b in zip([0, *cuts], [*cuts, length], strict=True))
            yield in_sentence("credit_card", f"{name} of {length}", written, chance)


def check_sum(number: str) -> int:
    """Luhn's, by a table of the sums of doubled digits."""
    return sum(int("0246813579"[int(d)]) if i % 2 else int(d) for i, d in enumerate(reversed(number)))


def in_sentence(kind: str, form: str, written: str, chance: random.Random) -> Case:
    sentence = chance.choice(SENTENCES)
    begin = sentence.index("{}")
    return kind, form, sentence.replace("{}", written), begin, begin + len(written)


if __name__ == "__main__":
    if sys.argv[1:] == ["--make"]:
        print_cases()
    else:
        main(sys.argv[1])
