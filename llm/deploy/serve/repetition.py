"""Says how much of an answer is repetition, so that an answer in a loop is seen as a figure."""

from collections.abc import Sequence


def repeated_share(ids: Sequence[int], n: int = 4) -> float:
    """Return the share of an answer's n-grams of token ids that stood in it before (1 - distinct-n of Li et al. 2016):
    0 where nothing comes twice, near 1 in a loop. Answers of fewer than n tokens have none."""
    grams = [tuple(ids[start : start + n]) for start in range(len(ids) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0
