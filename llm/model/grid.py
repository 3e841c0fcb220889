"""The grid that weights are trained on: what `quantize.qat` tells a training script. It imports no torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """Whole numbers of `bits` bits times a scale: of `group_size` inputs, of an output (None), or of a matrix."""

    bits: int
    group_size: int | None = None
    per_tensor: bool = False
