"""Synthetic documents with names in sensitive sentences, and look-alikes: diseases, places, authors."""

# ruff: noqa: SIM905
import random
from collections.abc import Iterator

from llm.process.pii.spans import Span

FIRST = (
    "Anna James María Robert Linda Wei Sofia David Aisha Thomas Priya Peter Julia Kwame Sarah Kenji Fatima Olga".split(
        " "
    )
)
LAST = "Novak Hughes Fischer Moreno Keller Olsen Whitaker Tanaka Sullivan Petrov Okafor Patel Doyle O'Brien Chen".split(
    " "
)
SENSITIVE = [
    "The patient, {}, was diagnosed with {} last spring.", "{} was arrested and charged with fraud in {}.",
    "According to the file, {} lives at 12 Oak Street, {}.", "{} filed for bankruptcy after leaving {}.",
    "The salary of {} at {} was disclosed by mistake.", "Dr. Hale prescribed lithium to {} at the clinic in {}.",
    "In court {} pleaded guilty; the hearing was held in {}.", "Name: {}. Date of birth: 4 May 1971, {}.",
    "The passport of {} was issued in {}.", "{} was admitted to the psychiatric ward of a hospital near {}.",
]  # fmt: skip
OTHER = [
    "Leeds",
    "Hamburg",
    "Texas",
    "Parkinson's disease",
    "Hodgkin lymphoma",
    "Siemens",
    "Lake Victoria",
    "Goldman Sachs",
    "May",
]
PLAIN = [
    "The theorem goes back to {}.", "{} wrote the preface.",
    "A talk by {} closed the day.", "The patch by {} was merged."
]  # fmt: skip
FILL = "The committee met again in the autumn and agreed on the budget for the coming year without further debate. "


def documents(n: int, seed: int) -> Iterator[tuple[str, list[Span]]]:
    """(text, spans of names in sensitive sentences). Names in other sentences lie too far away to count."""
    chance = random.Random(seed)
    for _ in range(n):
        text, known = "", []
        for _ in range(chance.randint(1, 4)):
            name = f"{chance.choice(FIRST)} {chance.choice(LAST)}"
            if chance.random() < 0.7:
                before, after = chance.choice(SENSITIVE).split("{}", 1)
                known.append(Span("name", len(text) + len(before), len(text) + len(before) + len(name)))
                text += before + name + after.format(chance.choice(OTHER)) + " "
            else:
                text += chance.choice(PLAIN).format(name) + " "
            text += FILL * 3
        yield text, known
