"""What the methods of alignment differ in, as one record each, and how they are scored on held-out items."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from llm.align.batches import Item, Pair, collate, evaluation_order, longest_sides
from llm.align.records import length_rule, mean
from llm.model.transformer import CausalLM
from llm.training.engine import Engine
from llm.training.objective import Objective

EVALUATION_BATCH = 16


@dataclass(frozen=True)
class Method:
    """One method. It pickles: its functions are a module's.

    objective: makes it of a model, adapted already, and the script's slice. evaluate: (engine, held-out items, padding
    id) -> metrics. chance: (slice, size of the vocabulary, items) -> the loss of guessing. task_type: PEFT's.
    measured_before: the metrics that are also taken before the first step, as `<name>_before`. leave: writes more
    beside the adapter, and returns those of the trained weights that are the adapter's. whole: may all weights be
    trained (align.*.full)? Where a reference is the model without its adapter, or a head stands beside it, not.
    prepare: (what makes the base model, training items, slice, padding id) -> training items, with what is found out
    about them before training.
    """

    name: str
    objective: Callable[[CausalLM, Any], Objective]
    evaluate: Callable[[Engine, Any, int], dict]
    chance: Callable[[Any, int, Any], float]
    task_type: str = "CAUSAL_LM"
    measured_before: tuple[str, ...] = ()
    leave: Callable[[Path, dict[str, torch.Tensor]], dict[str, torch.Tensor]] | None = None
    whole: bool = False
    prepare: Callable[[Callable[[], CausalLM], Any, Any, int], Any] | None = None


def scored(engine: Engine, items: Sequence[Item], pad: int) -> tuple[list[str], list[torch.Tensor]]:
    """Return the kind of each item, and the columns of what the objective's `scores` say of it, fp64 [items] each on
    the CPU. Every rank gets all of them."""
    kinds, rows = [], []
    for selected in evaluation_order(longest_sides(items), EVALUATION_BATCH):
        some = [items[index] for index in selected]
        rows.append(engine.scores(collate(some, pad)).double().cpu())
        kinds += [item.kind for item in some]
    return kinds, list(torch.cat(rows).unbind(1))


def mean_by(kinds: list[str], values: Sequence[float]) -> dict[str, float]:
    """Return the mean of `values` for each kind, sorted by kind."""
    return {kind: mean([v for k, v in zip(kinds, values, strict=True) if k == kind]) for kind in sorted(set(kinds))}


def hits_of(chosen_B: torch.Tensor, rejected_B: torch.Tensor) -> torch.Tensor:
    """Return 1 where the chosen side is rated above the rejected one, 0 where below, a half for a tie: [B]."""
    return 0.5 + 0.5 * torch.sign(chosen_B - rejected_B)


def ranked(
    pairs: Sequence[Pair], kinds: list[str], loss_B: torch.Tensor, chosen_B: torch.Tensor, rejected_B: torch.Tensor
) -> dict:
    """Return how well the ratings of both sides rank held-out pairs, in all and by kind, beside what a rule that sees
    only token counts would reach."""
    hits = hits_of(chosen_B, rejected_B).tolist()
    return {
        "held_out_pairs": len(pairs),
        "held_out_loss": loss_B.mean().item(),
        "held_out_accuracy": mean(hits),
        "held_out_accuracy_by_kind": mean_by(kinds, hits),
        "length_rule": length_rule([(len(pair.chosen.ids), len(pair.rejected.ids)) for pair in pairs]),
    }
