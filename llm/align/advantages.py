"""What the tokens of an answer are worth, as PPO finds it: rewards of tokens, generalised advantages, whitening.

Legend: B answers, T tokens of the longest. mask_BT: true on the answers' tokens; what stands elsewhere does not matter.
All is fp64.
"""

import torch
from torch import Tensor

EPS = 1e-8
LARGEST, RATE = 0.2, 0.1  # of the adaptive coefficient (Ziegler et al. 2019)


def kl_shaped(score_B: Tensor, log_prob_BT: Tensor, reference_BT: Tensor, mask_BT: Tensor, coef: float) -> Tensor:
    """Return each token's reward: -coef log p/ref, and at an answer's last token the answer's score too (Ouyang et al.
    2022, arXiv 2203.02155, equation 2, token by token)."""
    reward_BT = (-coef * (log_prob_BT - reference_BT)).masked_fill(~mask_BT, 0.0)
    place_T = torch.arange(mask_BT.shape[1], device=mask_BT.device)
    last_B = (place_T * mask_BT).argmax(1)
    reward_BT[torch.arange(len(last_B)), last_B] += score_B
    return reward_BT


def gae(
    reward_BT: Tensor, value_BT: Tensor, mask_BT: Tensor, gamma: float, lam: float, after_B: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return generalised advantages (Schulman et al. 2016, arXiv 1506.02438, equation 16) and returns, which are
    advantages and values together; both are 0 where the mask is false, and pass over such places.

    value_BT: what is expected before each token. after_B: the value of the state after the last token, which is 0 where
    an answer has ended there (None: all have).
    """
    following_B = torch.zeros_like(value_BT[:, 0]) if after_B is None else after_B
    carried_B = torch.zeros_like(following_B)
    advantage_BT = torch.zeros_like(value_BT)
    for place in reversed(range(value_BT.shape[1])):
        value_B, mask_B = value_BT[:, place], mask_BT[:, place]
        error_B = reward_BT[:, place] + gamma * following_B - value_B
        carried_B = torch.where(mask_B, error_B + gamma * lam * carried_B, carried_B)
        following_B = torch.where(mask_B, value_B, following_B)
        advantage_BT[:, place] = torch.where(mask_B, carried_B, 0.0)
    return advantage_BT, torch.where(mask_BT, advantage_BT + value_BT, 0.0)


def whitened(advantage_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Return advantages with mean 0 and deviation 1 over the mask's tokens, 0 elsewhere."""
    advantage_N = advantage_BT[mask_BT]
    deviation = advantage_N.std(correction=1 if len(advantage_N) > 1 else 0)
    return ((advantage_BT - advantage_N.mean()) / (deviation + EPS)).masked_fill(~mask_BT, 0.0)


def adapted_coef(coef: float, distance: float, target: float) -> float:
    """Return the weight of the KL divergence after answers at this distance from the reference: higher where they are
    further than the target, by at most 2% (Ziegler et al. 2019, arXiv 1909.08593, section 2.2)."""
    return coef * (1 + RATE * max(-LARGEST, min(LARGEST, distance / target - 1)))
