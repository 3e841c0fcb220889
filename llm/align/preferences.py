"""Derives preference pairs from instruction pairs: the reference answer against a spoilt one. No people were asked.

Kinds, named for what is wrong with the rejected answer:
  irrelevant   another prompt's answer, of the same kind and nearest in length     (length control: equal by choice)
  shuffled     the answer's own words in a random order                           (length control: equal exactly)
  repetitive   the answer's first words over and over, to the answer's length     (length control: equal exactly)
  truncated    the answer cut off in the middle of a sentence                     (shorter)
  rambling     the answer followed by another prompt's answer                     (longer)
There are equally many of `truncated` and `rambling`, so that "longer is better" and "shorter is better" both end near
one half: whatever beats `length_rule` has looked at the words.
"""

from collections.abc import Callable, Mapping

import numpy as np

from llm.align.instructions import order
from llm.align.settings.preferences import Fault
from llm.errors import InputError

NEIGHBOURS = 8  # an irrelevant answer is one of so many that are nearest in length
PHRASE_WORDS = 4


def preference_pairs(instructions: list[dict], counts: Mapping[Fault, int], max_answer: int, seed: int) -> list[dict]:
    """Return rows {"id", "prompt", "chosen", "rejected", "kind"}, at most counts[kind] of each kind, by kind and hash.

    A prompt may serve several kinds. An answer too short to be spoilt is passed over, and so are kinds that need
    another answer where there is none. Raises InputError on an unknown kind.
    """
    unknown = sorted(set(counts) - set(SPOIL))
    if unknown:
        raise InputError(f"align.preferences.counts: unknown kind {unknown[0]!r}; known are {', '.join(SPOIL)}")
    others = Others(instructions)
    rows: list[dict] = []
    for kind in sorted(counts):
        rows += pairs_of_kind(kind, counts[kind], instructions, others, max_answer, seed)
    return rows


def pairs_of_kind(
    kind: str, count: int, instructions: list[dict], others: "Others", max_answer: int, seed: int
) -> list[dict]:
    """Return at most `count` rows of one kind, in the order of their hashes."""
    rows: list[dict] = []
    for item in sorted(instructions, key=lambda item: order(seed, kind, item["id"])):
        if len(rows) == count:
            break
        chosen = answer_of(item)
        random = np.random.Generator(np.random.PCG64(order(seed, "spoil", kind, item["id"])))
        rejected = SPOIL[kind](item, others, random)
        if rejected and rejected != chosen and len(rejected) <= max_answer:
            prompt = item["messages"][0]["content"]
            row = {"id": f"{item['id']}/{kind}", "prompt": prompt, "chosen": chosen, "rejected": rejected}
            rows.append(row | {"kind": kind})
    return rows


class Others:
    """Finds other items' answers, by kind and length."""

    def __init__(self, instructions: list[dict]) -> None:
        self.by_kind: dict[str, list[dict]] = {}
        for item in sorted(instructions, key=lambda item: (len(answer_of(item)), item["id"])):
            self.by_kind.setdefault(item["kind"], []).append(item)
        self.place = {item["id"]: index for items in self.by_kind.values() for index, item in enumerate(items)}

    def near(self, item: dict, random: np.random.Generator) -> str:
        """Return an answer of the same kind, about as long as the item's own; "" if the kind has no other."""
        items, place = self.by_kind[item["kind"]], self.place[item["id"]]
        first = min(max(0, place - NEIGHBOURS // 2), max(0, len(items) - NEIGHBOURS - 1))
        window = [index for index in range(first, min(first + NEIGHBOURS + 1, len(items))) if index != place]
        return answer_of(items[window[random.integers(len(window))]]) if window else ""

    def any(self, item: dict, random: np.random.Generator) -> str:
        """Return an answer of the same kind, of any length; "" if the kind has no other."""
        items, place = self.by_kind[item["kind"]], self.place[item["id"]]
        if len(items) < 2:
            return ""
        index = random.integers(len(items) - 1)
        return answer_of(items[index + (index >= place)])


def answer_of(item: dict) -> str:
    """Return the assistant's answer of an instruction pair."""
    return item["messages"][1]["content"]


def irrelevant(item: dict, others: Others, random: np.random.Generator) -> str:
    return others.near(item, random)


def shuffled(item: dict, others: Others, random: np.random.Generator) -> str:
    words = answer_of(item).split(" ")
    return " ".join(words[i] for i in random.permutation(len(words))) if len(words) > 3 else ""


def repetitive(item: dict, others: Others, random: np.random.Generator) -> str:
    words = answer_of(item).split(" ")
    if len(words) < 2 * PHRASE_WORDS:
        return ""
    phrase, length = " ".join(words[:PHRASE_WORDS]) + " ", len(answer_of(item))
    return (phrase * (length // len(phrase) + 1))[:length]


def truncated(item: dict, others: Others, random: np.random.Generator) -> str:
    words = answer_of(item).split(" ")
    kept = int(len(words) * random.uniform(0.3, 0.7))
    return " ".join(words[:kept]).rstrip(".!?;,: ") if len(words) > 5 else ""


def rambling(item: dict, others: Others, random: np.random.Generator) -> str:
    other = others.any(item, random)
    return f"{answer_of(item)} {other}" if other else ""


SPOIL: dict[str, Callable[[dict, Others, np.random.Generator], str]] = {
    "irrelevant": irrelevant,
    "rambling": rambling,
    "repetitive": repetitive,
    "shuffled": shuffled,
    "truncated": truncated,
}
