"""Items of alignment data that others wrote: brought to the usual layouts, checked, and dealt out so that no prompt is
on two sides.

BIG-bench's items become pairs of the answer that it scores highest over the one that it scores lowest
(`target_scores`), or conversations (`target`). All others are rows of llm/align/rows.py already, and are checked as
such.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from llm.align.conversations import kind_of
from llm.align.instructions import order
from llm.align.near_prompts import near_groups
from llm.align.rows import checked_messages, conversation, labelled, preference, prompt_of
from llm.errors import InputError

Layout = tuple[str, Callable[[dict, str], object]]


def usual(item: dict, place: str, kind: str) -> dict:
    """Return an item as a checked row of the usual layouts. kind: by which metrics are grouped, unless the item says
    it. Raises InputError, which begins with `place`, for what is no item."""
    row = {"kind": kind} | item
    if "target_scores" in item:
        scores = item["target_scores"]
        if not isinstance(scores, dict) or not all(type(score) in (int, float) for score in scores.values()):
            raise InputError(f"{place}: target_scores is {scores!r:.40}; it should have a number for each answer")
        ranked = sorted(scores, key=lambda answer: -scores[answer])  # in their order where they are equal
        if len(scores) < 2 or scores[ranked[0]] == scores[ranked[-1]]:
            raise InputError(f"{place}: target_scores prefers no answer; leave the item out")
        row = {"prompt": item.get("input"), "chosen": ranked[0], "rejected": ranked[-1], "kind": kind}
    elif "target" in item:
        target = item["target"]
        row = {
            "prompt": item.get("input"),
            "completion": target[0] if isinstance(target, list) and target else target,
            "kind": kind,
        }
    layout_of(row)[1](row, place)
    return row


def layout_of(row: dict) -> Layout:
    """Return the layout that a row is in, and what checks it."""
    if "chosen" in row or "rejected" in row:
        return "preferences", preference
    if "label" in row:
        return "labelled", labelled
    if "messages" in row or "completion" in row:
        return "conversations", conversation
    return "prompts", prompt_of


def dealt(
    rows: Iterable[tuple[str, dict]], held_out: float, limit: int | None, seed: int, near: float | None = 0.8
) -> tuple[list[dict], list[dict], dict]:
    """Return the rows of training, those of validation, and counts: `equal` rows that were left out, prompts with
    others that are `alike` (llm/align/near_prompts.py; near: from which similarity on) and `groups` of such.

    Rows of one prompt, whatever its case and white space, and of prompts that are alike are on one side; which side is
    decided by a hash of (seed, the first of these prompts by their text), what a limit leaves by one of (seed, prompt).
    rows: with their places. Raises InputError where two layouts are mixed, or a side is empty.
    """
    found: dict[str, dict] = {}
    equal, first = 0, None
    for place, row in rows:
        layout = layout_of(row)[0]
        first = first or layout
        if layout != first:
            raise InputError(f"{place}: one of {layout} among {first}; name files of one layout in `include`")
        text = " ".join(texts_of(row)).strip()
        equal += text in found
        found.setdefault(text, row)
    kinds = {asked(row): kind_of(row) for row in found.values()}
    prompts = sorted(kinds)
    firsts = list(range(len(prompts)))
    if near is not None:
        firsts = near_groups(prompts, [kinds[prompt] for prompt in prompts], near)
    leader = {prompt: prompts[first_of] for prompt, first_of in zip(prompts, firsts, strict=True)}
    sizes = [count for count in Counter(firsts).values() if count > 1]
    ordered = sorted(found.values(), key=lambda row: (order(seed, "given", asked(row)), asked(row)))[:limit]
    sides: tuple[list[dict], list[dict]] = ([], [])
    for row in ordered:
        sides[order(seed, "held out", leader[asked(row)]) < held_out * 2**64].append(row)
    if not all(sides):
        alike = f" ({sum(sizes)} prompts have others that are alike, and stay together: see `near`)" if sizes else ""
        raise InputError(
            f"of {len(ordered)} items {len(sides[0])} are for training and {len(sides[1])} for validation{alike}; name "
            "more files in `include`, or change held_out"
        )
    return *sides, {"equal": equal, "alike": sum(sizes), "groups": len(sizes)}


def asked(row: dict) -> str:
    """Return what a row asks, without case and spare white space."""
    messages = row["messages"] if "messages" in row else row["prompt"]
    if isinstance(messages, list):
        messages = "\n".join(message["content"] for message in messages if message["role"] != "assistant")
    return " ".join(messages.casefold().split())


def texts_of(row: dict) -> Iterator[str]:
    """Yield all texts of a checked row: what is asked and every answer."""
    for name in ("messages", "prompt", "completion", "chosen", "rejected"):
        value = row.get(name)
        if isinstance(value, str):
            yield value
        elif value is not None:
            yield from (message["content"] for message in checked_messages(value, "", name))
