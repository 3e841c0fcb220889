"""Packs small integers in int32 words, as compressed-tensors does: a word holds 32 / bits values with 2^(bits-1) added,
the first in its lowest bits. layout.py says where they stand.
"""

import torch


def pack(q_NK: torch.Tensor, bits: int) -> torch.Tensor:
    """Pack int8 [N, K] as int32 [N, ceil(K bits / 32)]; the last word's unused bits are zero."""
    # In uint8, adding 2^(bits-1) wraps round. Two numbers become one of twice the bits, until they fill a byte.
    part_NK = torch.nn.functional.pad(q_NK.view(torch.uint8) + (1 << (bits - 1)), (0, -q_NK.shape[1] % (32 // bits)))
    while bits < 8:
        part_NK, bits = part_NK[:, 0::2] | (part_NK[:, 1::2] << bits), 2 * bits
    return part_NK.flatten().view(torch.int32).view(len(part_NK), part_NK.shape[1] // 4)


def unpack(packed_NW: torch.Tensor, bits: int, n_in: int) -> torch.Tensor:
    """Unpack int32 [N, W] to int8 [N, n_in]: the inverse of `pack`."""
    shifts = torch.arange(32 // bits, device=packed_NW.device, dtype=torch.int32) * bits
    unsigned = (packed_NW[..., None] >> shifts) & ((1 << bits) - 1)
    return (unsigned.flatten(1)[:, :n_in] - (1 << (bits - 1))).to(torch.int8)
