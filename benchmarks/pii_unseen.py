"""Personal data in every form of its standard, and what looks like it, beside presidio: recall and false finds by form.

    python -m venv ENV && ENV/bin/pip install presidio-analyzer phonenumbers python-stdnum
    python benchmarks/pii_unseen.py ENV/bin/python [--seed 3] [--show]

ENV's Python draws the values (benchmarks/pii_values.py), puts each into a sentence of some language, a row, a field,
code or a log, and says what presidio finds; this one says what the project finds. A value counts as found if kind,
beginning and end are right. presidio's finds count from a score of 0.4 on, what its phones have; it means to find
private addresses, which are look-alikes here. --show prints what was missed or wrongly found, six of each form.
"""

import argparse
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

CONTEXTS = {
    "English": [
        "Please send it to {} before Friday.",
        "He noted {} and left.",
        "It was {}, I think.",
        "Ask for {}; go.",
    ],
    "German": [
        "Bitte notieren Sie {} und melden Sie sich.",
        "Das steht unter {} im Verzeichnis.",
        "Gestern kam {} an.",
    ],
    "French": ["Merci de noter {} avant lundi.", "On a trouvé {} dans le dossier.", "C’était « {} », disait-il."],
    "Spanish": ["Anote {} por favor.", "¿Es {} correcto?"],
    "Russian": ["Запишите {} и приходите.", "В деле указано {}, проверьте."],
    "Chinese": ["请记录{}，谢谢。", "资料是：{}。"],
    "Japanese": ["これは{}です。", "「{}」と書いてあります。"],
    "Arabic": ["سجل {} من فضلك", "البيانات: {}"],
    "rows": ["17,Anna,{},active", "a;b;{};c", '"x","{}","y"', "id\t{}\tok", "| 12 | {} | yes |", "Total   {}   7"],
    "data": ['{"id": 7, "value": "{}"}', '["{}", null]', "<v>{}</v>", '<a title="{}"/>', "value: {}", "- {}"],
    "code": ['x = "{}"', "const v = '{}';", "send('{}', 3)", "// see {}", "value={}", "VALUES (3, '{}', NULL);"],
    "logs": [
        "2024-05-06 10:11:12,345 INFO got {} from queue",
        "May  6 10:11:12 host app[123]: id={} ok",
        "[error] {}: refused",
    ],
}
LEAST = 0.4  # of presidio's scores
Case = tuple[str, str, str, int, int]  # kind ("none": a look-alike), form, text, begin and end of the value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", help="of the environment with presidio")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    import polars as pl  # this and the project are not in the other environment

    from llm.process.pii.find import spans_of

    command = [options.python, __file__, "--make", str(options.seed)]
    rows = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    ours = [[list(span) for span in own] for own in spans_of(pl.Series([row[2] for row in rows]))]
    known, counts = Counter(), Counter()
    shown: dict[str, list] = {}
    for (kind, form, text, begin, end, theirs), own in zip(rows, ours, strict=True):
        for row in (kind, f"{kind}, {form}"):
            known[row] += 1
            for who, found in (("ours", own), ("presidio", theirs)):
                counts[row, who] += [kind, begin, end] in found
                counts[row, who, "wrong"] += is_wrong(kind, begin, end, found)
        if ([kind, begin, end] not in own and kind != "none") or is_wrong(kind, begin, end, own):
            shown.setdefault(f"{kind}, {form}", []).append((text, [text[span[1] : span[2]] for span in own]))
    print_table(known, counts)
    for row, examples in shown.items() if options.show else ():
        print(row, *examples[:6], sep="\n    ")


def is_wrong(kind: str, begin: int, end: int, found: list[list]) -> bool:
    """Is anything found in a look-alike, or beside the value, or as another kind?"""
    return any(kind == "none" or span[2] <= begin or span[1] >= end or span[0] != kind for span in found)


def print_table(known: Counter, counts: Counter) -> None:
    print(f"{'found rightly, and beside it, wrongly':46}{'cases':>6}{'ours':>8}{'':>6}{'presidio':>10}")
    for row in sorted(known):
        if row.startswith("none,") and not counts[row, "ours", "wrong"] + counts[row, "presidio", "wrong"]:
            continue
        recall = [
            f"{counts[row, who] / known[row]:.3f}" if kind_of(row) != "none" else "" for who in ("ours", "presidio")
        ]
        wrong = [counts[row, who, "wrong"] for who in ("ours", "presidio")]
        print(f"{row:46}{known[row]:6,}{recall[0]:>8}{wrong[0]:6}{recall[1]:>10}{wrong[1]:6}")


def kind_of(row: str) -> str:
    return row.split(",")[0]


def print_cases(seed: int) -> None:
    """Print every case and presidio's spans of it, as JSON; runs in presidio's environment."""
    import logging

    from presidio_analyzer import predefined_recognizers as presidio

    logging.disable(logging.CRITICAL)
    recognisers = [
        (presidio.PhoneRecognizer(), "PHONE_NUMBER", "phone"), (presidio.IpRecognizer(), "IP_ADDRESS", "ip"),
        (presidio.CreditCardRecognizer(), "CREDIT_CARD", "credit_card"), (presidio.UsSsnRecognizer(), "US_SSN", "ssn"),
        (presidio.EmailRecognizer(), "EMAIL_ADDRESS", "email"), (presidio.IbanRecognizer(), "IBAN_CODE", "iban"),
    ]  # fmt: skip
    rows = []
    for kind, form, text, begin, end in cases(random.Random(seed)):
        found = []
        for recogniser, entity, name in recognisers:
            spans = [span for span in recogniser.analyze(text, [entity], None) or [] if span.score >= LEAST]
            version = "ipv6" if kind == "ipv6" else "ipv4"  # presidio has one kind
            found += [[version if name == "ip" else name, span.start, span.end] for span in spans]
        rows.append((kind, form, text, begin, end, found))
    print(json.dumps(rows))


def cases(chance: random.Random) -> Iterator[Case]:
    """Draw every value and put it into a text. A value may bring its own text, or be a part of one (a url)."""
    from benchmarks.pii_values import Value, values

    drawn: Iterator[Value] = values(chance)
    for value in drawn:
        template = value.template or chance.choice(CONTEXTS[chance.choice(list(CONTEXTS))])
        begin = template.index("{}") + value.written.index(value.part or value.written)
        text = template.replace("{}", value.written, 1)
        yield value.kind, value.form, text, begin, begin + len(value.part or value.written)


if __name__ == "__main__":
    if "--make" in sys.argv:
        sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
        print_cases(int(sys.argv[-1]))
    else:
        main()
