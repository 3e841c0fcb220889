"""Cross-entropy over a vocabulary that is split over the tensor ranks, with the z-loss, which megatron-core's has not.

Legend: B rows, T tokens, W this tensor rank's part of the padded vocabulary.
"""

import torch
from megatron.core import parallel_state
from megatron.core.tensor_parallel import reduce_from_tensor_model_parallel_region


def token_losses(
    logits_BTW: torch.Tensor, target_BT: torch.Tensor, vocab_size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return -ln p(target) and logsumexp of the logits, fp32 [B, T] each, equal on all tensor ranks; differentiable.
    The padding of the vocabulary is left out."""
    width = logits_BTW.shape[-1]
    first = width * parallel_state.get_tensor_model_parallel_rank()
    logits = logits_BTW.float()
    if first + width > vocab_size:
        padding = torch.arange(first, first + width, device=logits.device) >= vocab_size
        logits = logits.masked_fill(padding, float("-inf"))
    group = parallel_state.get_tensor_model_parallel_group()
    peak_BT1 = logits.detach().amax(-1, keepdim=True)
    torch.distributed.all_reduce(peak_BT1, torch.distributed.ReduceOp.MAX, group)
    shifted = logits - peak_BT1
    own_BT = target_BT - first
    is_own_BT = (own_BT >= 0) & (own_BT < width)
    chosen_BT = shifted.gather(-1, own_BT.clamp(0, width - 1)[..., None])[..., 0]
    chosen_BT = reduce_from_tensor_model_parallel_region(chosen_BT.masked_fill(~is_own_BT, 0.0))
    log_sum_BT = reduce_from_tensor_model_parallel_region(shifted.exp().sum(-1)).log()
    return log_sum_BT - chosen_BT, log_sum_BT + peak_BT1[..., 0]
