"""Packs small integers in int32 words, as compressed-tensors does: a word holds 32 / bits values with 2^(bits-1) added,
the first in its lowest bits. layout.py says where they stand.
"""

import torch

AT_ONCE = 1 << 20  # integers that are packed at once


def pack(q_NK: torch.Tensor, bits: int) -> torch.Tensor:
    """Pack int8 [N, K] as int32 [N, ceil(K bits / 32)]; the last word's unused bits are zero."""
    per_word = 32 // bits
    padding = -q_NK.shape[1] % per_word
    shifts = torch.arange(per_word, device=q_NK.device) * bits

    def packed(part_RK: torch.Tensor) -> torch.Tensor:
        unsigned_RK = torch.nn.functional.pad(part_RK.to(torch.int64) + (1 << (bits - 1)), (0, padding))
        words = (unsigned_RK.unflatten(1, (-1, per_word)) << shifts).sum(-1)
        return torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)

    rows = max(1, AT_ONCE // max(1, q_NK.shape[1]))
    return torch.cat([packed(part) for part in q_NK.split(rows)])


def unpack(packed_NW: torch.Tensor, bits: int, n_in: int) -> torch.Tensor:
    """Unpack int32 [N, W] to int8 [N, n_in]: the inverse of `pack`."""
    shifts = torch.arange(32 // bits, device=packed_NW.device, dtype=torch.int32) * bits
    unsigned = (packed_NW[..., None] >> shifts) & ((1 << bits) - 1)
    return (unsigned.flatten(1)[:, :n_in] - (1 << (bits - 1))).to(torch.int8)
