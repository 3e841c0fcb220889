"""Computes attention by plain tensor operations in the order of kernels/attention.py, for the same bytes without numba.

It is slow, one operation for each of a block's keys and of a head's dimensions: for machines without the kernel, and to
test it.

Legend: R rows, N query heads, K key-value heads, H d_head, B keys of a block, P blocks, S sequences, W table width.
"""

import torch
from torch import Tensor

BLOCK = 32


def exp(x: Tensor) -> Tensor:
    """Return e^x for fp32 x <= 0: kernels/attention_block.py has the source of the numbers."""
    x = x.clamp(min=-87.0)
    shifted = x * 1.44269504 + 12582912.0
    n = shifted - 12582912.0
    r = (x - n * 0.693359375) - n * -2.12194440e-4
    y = r * 1.9875691500e-4 + 1.3981999507e-3
    for c in (8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
        y = y * r + c
    y = (y * (r * r) + r) + 1.0
    return y * ((shifted.view(torch.int32) - 0x4B400000 + 127) << 23).view(torch.float32)


def attend(
    query_RNH: Tensor,
    keys_PKHB: Tensor,
    values_PKBH: Tensor,
    table_SW: Tensor,
    sequence_R: Tensor,
    position_R: Tensor,
    slope_N: Tensor,
) -> Tensor:
    """Return softmax(q k / sqrt(H) + bias) v, fp32 [R, N, H], for fp32 queries and one layer's pool in fp32."""
    group = query_RNH.shape[1] // keys_PKHB.shape[1]
    # The kernel's scale, a float32: a Python number would be one of 64 bits here.
    query_RNH = query_RNH * torch.tensor(query_RNH.shape[2] ** -0.5, dtype=torch.float32, device=query_RNH.device)
    output_RNH = torch.zeros_like(query_RNH)
    largest_RN = torch.full_like(query_RNH[..., 0], -torch.inf)
    total_RN = torch.zeros_like(largest_RN)
    slot_B = torch.arange(BLOCK, device=query_RNH.device)
    for b in range(int(position_R.max()) // BLOCK + 1):
        distance_R = position_R - b * BLOCK
        here_R = distance_R >= 0
        block_R = torch.where(here_R, table_SW[sequence_R, min(b, table_SW.shape[1] - 1)], 0)
        keys_RNHB = keys_PKHB[block_R].repeat_interleave(group, 1)
        values_RNBH = values_PKBH[block_R].repeat_interleave(group, 1)
        scores_RNB = torch.zeros_like(keys_RNHB[:, :, 0])
        for d in range(query_RNH.shape[2]):
            scores_RNB = scores_RNB + query_RNH[:, :, d, None] * keys_RNHB[:, :, d]
        distance_RB = distance_R[:, None] - slot_B
        if slope_N.any():
            scores_RNB = scores_RNB - slope_N[:, None] * distance_RB[:, None].float()
        scores_RNB = scores_RNB.masked_fill((distance_RB < 0)[:, None], -torch.inf)
        new_RN = torch.maximum(largest_RN, scores_RNB.amax(-1))
        kept_RN = exp(largest_RN - new_RN)
        weight_RNB = exp(scores_RNB - new_RN[..., None]).masked_fill((distance_RB < 0)[:, None], 0.0)
        sum_RNH = output_RNH * kept_RN[..., None]
        for s in range(BLOCK):
            added = sum_RNH + weight_RNB[:, :, s, None] * values_RNBH[:, :, s]
            sum_RNH = torch.where((distance_R >= s)[:, None, None], added, sum_RNH)
        half = BLOCK
        while half > 1:
            half //= 2
            weight_RNB = weight_RNB[..., :half] + weight_RNB[..., half : 2 * half]
        output_RNH = torch.where(here_R[:, None, None], sum_RNH, output_RNH)
        total_RN = torch.where(here_R[:, None], total_RN * kept_RN + weight_RNB[..., 0], total_RN)
        largest_RN = torch.where(here_R[:, None], new_RN, largest_RN)
    return output_RNH / total_RN[..., None]
