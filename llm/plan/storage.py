"""Computes bytes on disk: checkpoints and quantized weights, exact for the convention that each states."""

from llm.model.counts import total
from llm.model.shape import Shape

# Bytes per parameter by what a checkpoint holds.
CHECKPOINTS = {
    "weights_fp8": (1, "fp8 weights, without scales"),
    "weights_bf16": (2, "bf16 weights"),
    "weights_fp32": (4, "fp32 weights"),
    "training_fp32": (12, "fp32 weights, m, v"),
    "training_mixed": (14, "bf16 weights; fp32 master, m, v"),
}


def checkpoint_bytes(shape: Shape, holds: str = "training_mixed") -> int:
    """Return the bytes of a checkpoint, padding of the vocabulary included. `holds`: a key of CHECKPOINTS.

    training_mixed, 2 + 12 bytes per parameter, is what DeepSpeed and Megatron-LM write (BLOOM: Le Scao et al. 2022,
    2.3 TB, counted as TiB); Adam's m and v are fp32 (Kingma and Ba 2015; Micikevicius et al. 2018 for the master copy).
    """
    return total(shape) * CHECKPOINTS[holds][0]


def quantized_bytes(shape: Shape, bits: int, group_size: int | None = None) -> int:
    """Return the bytes of weights at `bits` each, plus one 16-bit scale per group if a group size is stated.

    Source: Frantar et al. 2023.
    """
    scales = 16 / group_size if group_size else 0
    return int(total(shape) * (bits + scales) / 8)
