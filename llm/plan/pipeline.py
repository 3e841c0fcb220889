"""Computes the pipeline's bubble: the time in which a rank waits for others. Nothing is assumed to overlap with it."""


def bubble_over_ideal(pipeline: int, micro_batches: int, virtual: int = 1) -> float:
    """Return idle time over the work's own time: (p - 1) / (v m) (Narayanan et al. 2021, sections 2.2.1, 2.2.2).

    `virtual`: model chunks per rank; 1 gives GPipe's and 1F1B's bubble (Huang et al. 2019 state it over the total).
    """
    return (pipeline - 1) / (virtual * micro_batches)


def bubble_over_total(pipeline: int, micro_batches: int, virtual: int = 1) -> float:
    """Return idle time over all time: (p - 1) / (v m + p - 1) (Huang et al. 2019, section 2.3)."""
    return (pipeline - 1) / (virtual * micro_batches + pipeline - 1)
