"""Makes training data of critiques and revisions, and says how good they are where exact tests know it. Beside each
such figure stands what labels that mean nothing would reach: `..._random`.

Every mean over principles gives each the same weight, so that no principle that most answers follow anyway decides it;
`..._error` is its standard error.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from llm.align.constitution import Constitution, Principle
from llm.align.counted import draw
from llm.align.records import length_rule, mean
from llm.align.settings.constitution import FeedbackSettings, Labels
from llm.errors import InputError

WITH_REVISION = ("revised", "unchanged")
FIRST_WORD = re.compile(r"[^\W\d_]+")


def heads(*parts: object) -> bool:
    """Toss a coin that the parts decide."""
    return draw(2, *parts) == 1


def says_broken(principle: Principle, critique: str) -> bool | None:
    """Does a critique say that the answer breaks the principle? None where its first word is neither Yes nor No."""
    first = FIRST_WORD.search(critique)
    word = first[0].casefold() if first else ""
    return (word == "yes") == principle.yes_breaks if word in ("yes", "no") else None


def figures(rows: Sequence[dict], constitution: Constitution) -> dict:
    """Return what is known of critiques and revisions: of all constitutions the outcomes, of tested ones more. A mean
    and its control are of the principles that both are known of."""
    outcomes = Counter(row["outcome"] for row in rows)
    found: dict = {"prompts": len(rows), "outcomes": dict(outcomes), "revised": outcomes["revised"] / len(rows)}
    if not constitution.tested:
        return found
    said = {principle.name: critique_figures(principle, rows) for principle in constitution.tested}
    done = {principle.name: revision_figures(principle, rows) for principle in constitution.tested}
    by_principle = {name: said[name] | done[name] for name in said}
    for name, counted in {"critique_accuracy": ("critiques",), "revision_success": ("broken", "broken_others")}.items():
        known = [each for each in by_principle.values() if all(each[count] for count in counted)]
        found |= averaged(name, [(each[name], each[counted[0]]) for each in known])
        found |= {f"{name}_random": mean([each[f"{name}_random"] for each in known])}
    return found | {
        "answers_follow": mean([each["answers_follow"] for each in by_principle.values()]),
        "by_principle": by_principle,
    }


def critique_figures(principle: Principle, rows: Sequence[dict]) -> dict:
    """Return how often critiques by a principle are right. Random: the same verdicts, dealt out anew among the same
    answers; that mean is exact."""
    own = [row for row in rows if row["principle"] == principle.name and row["critique"]]
    broken = [not row["follows"]["answer"][principle.name] for row in own]
    verdicts = [says_broken(principle, row["critique"]) for row in own]
    rates = [
        sum(value is kind for value in verdicts) * sum(value is kind for value in broken) for kind in (True, False)
    ]
    return {
        "critiques": len(own),
        "unclear": sum(verdict is None for verdict in verdicts),
        "critique_accuracy": mean([verdict is truth for verdict, truth in zip(verdicts, broken, strict=True)]),
        "critique_accuracy_random": sum(rates) / len(own) ** 2 if own else 0.0,
    }


def revision_figures(principle: Principle, rows: Sequence[dict]) -> dict:
    """Return of the answers that break a principle the share whose revisions follow it. Random: of those that were
    revised by another principle. An empty revision is no success."""
    name = principle.name
    answered = [row for row in rows if row["answer"]]
    broken = [row for row in answered if row["critique"] and not row["follows"]["answer"][name]]
    own, others = (
        [row["follows"]["revision"][name] for row in broken if (row["principle"] == name) is asked]
        for asked in (True, False)
    )
    return {
        "answers_follow": mean([row["follows"]["answer"][name] for row in answered]),
        "broken": len(own),
        "revision_success": mean(own),
        "broken_others": len(others),
        "revision_success_random": mean(others),
    }


def conversations(rows: Sequence[dict], labels: Labels, seed: int) -> list[dict]:
    """Return the instruction data of constitutional fine-tuning: each prompt with its revision; of the control, with
    either by a coin."""
    found = []
    for row in rows:
        if row["outcome"] not in WITH_REVISION:
            continue
        first = labels == "random" and heads(seed, "learn", row["id"])
        answer = row["answer"] if first else row["revision"]
        question = row["messages"][: asked_until(row)]
        kept = {name: row[name] for name in ("id", "principle", "seeds", "writer", "constitution")}
        found.append(
            kept | {"kind": row["principle"], "messages": [*question, {"role": "assistant", "content": answer}]}
        )
    return found


def asked_until(row: dict) -> int:
    """Return how many messages there are before the model's first: its answer, critique and revision, and the two
    requests between them, are the last."""
    return len(row["messages"]) - 5


def pairs(
    rows: Sequence[dict], constitution: Constitution, log_odds: Mapping[str, float], settings: FeedbackSettings
) -> tuple[list[dict], dict[str, int]]:
    """Return preference pairs of the revised rows, and why the others gave none. log_odds: by id, of the revision over
    the answer, where a model was asked."""
    found, left_out = [], Counter(row["outcome"] for row in rows if row["outcome"] != "revised")
    for row in rows:
        if row["outcome"] != "revised":
            continue
        odds = log_odds.get(row["id"])
        if settings.prefer != "revised" and odds is None:
            left_out["not_judged"] += 1
            continue
        if settings.prefer != "revised" and odds == 0:
            left_out["undecided"] += 1
            continue
        if settings.prefer == "agreed" and (odds or 0.0) < 0:
            left_out["not_agreed"] += 1
            continue
        revised = odds is None or settings.prefer != "judged" or odds > 0
        if settings.labels == "random":
            revised = heads(settings.seed, "prefer", row["id"])
        chosen, rejected = ("revision", "answer") if revised else ("answer", "revision")
        principle = constitution[row["principle"]]
        kept = {name: row[name] for name in ("id", "principle", "seeds", "writer", "constitution")}
        found.append(
            kept
            | {
                "kind": row["principle"],
                "prompt": row["messages"][: asked_until(row)],
                "chosen": row[chosen],
                "rejected": row[rejected],
                "preferred": chosen,
                "requests": {"critique": principle.critique, "revision": principle.revision},
            }
        )
    return found, dict(left_out)


def preference_figures(found: Sequence[dict], constitution: Constitution) -> dict:
    """Return how many pairs there are, and, of those whose sides a test tells apart, how many it would choose too."""
    lengths = [(len(pair["chosen"]), len(pair["rejected"])) for pair in found]
    kinds = Counter(pair["principle"] for pair in found)
    told = {"pairs": len(found), "by_kind": dict(kinds), "length_rule": length_rule(lengths)}
    if not constitution.tested:
        return told
    hits: dict[str, list[bool]] = {principle.name: [] for principle in constitution.tested}
    for pair in found:
        if pair["principle"] in hits:
            principle = constitution[pair["principle"]]
            chosen, rejected = principle.follows(pair["chosen"]), principle.follows(pair["rejected"])
            hits[principle.name] += [chosen] if chosen != rejected else []
    known = [(mean(values), len(values)) for values in hits.values() if values]
    return (
        told
        | {"decided": sum(map(len, hits.values()))}
        | averaged("preference_accuracy", known)
        | {"preference_accuracy_random": 0.5}
        | {"preference_accuracy_by_kind": {name: mean(values) for name, values in hits.items() if values}}
    )


def agreement(rows: Sequence[dict], constitution: Constitution, log_odds: Mapping[str, float]) -> dict:
    """Return how often a judge's choice is that of the exact test, where answer and revision differ by it."""
    right: dict[str, list[bool]] = {principle.name: [] for principle in constitution.tested}
    for row in rows:
        name = row["principle"]
        if row["id"] in log_odds and name in right:
            before, after = row["follows"]["answer"][name], row["follows"]["revision"][name]
            right[name] += [(log_odds[row["id"]] > 0) == after] if before != after else []
    known = [(mean(values), len(values)) for values in right.values() if values]
    return averaged("accuracy", known) | {"decided": sum(map(len, right.values()))}


def followed(answers: Iterable[tuple[str, str]], constitution: Constitution) -> dict:
    """Return the share of answers, each with its principle's name, that follow it."""
    results: dict[str, list[bool]] = {principle.name: [] for principle in constitution.tested}
    for name, answer in answers:
        if name in results:
            results[name].append(constitution[name].follows(answer))
    known = {name: values for name, values in results.items() if values}
    if not known:
        return {}
    shares = {name: mean(values) for name, values in known.items()}
    return averaged("follows", [(shares[name], len(known[name])) for name in known]) | {"follows_by_principle": shares}


def averaged(name: str, known: Sequence[tuple[float, int]]) -> dict:
    """Return the mean of shares, each of so many cases, and its standard error; 0 where there is none."""
    variance = sum(share * (1 - share) / count for share, count in known)
    return {
        name: mean([share for share, _ in known]),
        f"{name}_error": math.sqrt(variance) / len(known) if known else 0.0,
    }


def refuse_too_few(rows: Sequence[object], what: str, split: str) -> None:
    """Raise InputError where a split gives nothing to learn from."""
    if not rows:
        raise InputError(
            f"no {what} in the {split} split: see `outcomes` of the critiques' metrics; raise "
            "align.constitution.prompts or max_new_tokens, let a larger model write, or take what is trained on "
            "it out of align.methods"
        )
