"""Policy gradients as a table: GRPO, DAPO, Dr. GRPO, GSPO, RLOO, PPO. They differ in how an advantage is found, among
the answers to a prompt or by a critic (llm/align/ppo.py), in what a ratio is of, in how tokens are averaged, in where
the KL divergence counts.

loss = sum over answers i and their tokens t of w_i (-min(r A_i, clip(r, 1 - clip_low, 1 + clip_high) A_i) + kl_coef k)

r = p(token) / p_old(token), p_old being the policy that answered; k = ref/p - log ref/p - 1, which estimates
KL(p || ref) (Schulman 2020, k3). Legend: G prompts, S answers to each, B = G S answers, T tokens of the longest, N
answer tokens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor

from llm.align.batches import each_tensor, padded
from llm.align.settings.policy import PolicySettings
from llm.inference.runner import output_logits
from llm.inference.training import hidden
from llm.model.transformer import CausalLM
from llm.training.objective import DTYPES, Objective

EPS = 1e-4  # beside a standard deviation of rewards, as in TRL
ROWS = 64  # of log-probabilities, which stay in the cache


@dataclass(frozen=True)
class Sequences:
    """Prompts with their answers, padded on the right: tokens_BT int64; mask_BT bool, true on the answers' tokens."""

    tokens_BT: Tensor
    mask_BT: Tensor

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """Return the same on a device."""
        return each_tensor(self, lambda tensor: tensor.to(device, non_blocking=non_blocking))


@dataclass(frozen=True)
class Experience(Sequences):
    """The answers to some prompts of a step. old_N, reference_N: log-probabilities of the answers' tokens, row by row,
    of the policy that answered and of the reference, fp32. advantage_N: of the tokens, fp32. seen_BK: what is logged of
    each answer, fp64. prompts: how many these are. answers, targets: all answers of the step and their tokens, of which
    these are a part. value_N, return_N: what a critic expected, and what it should have, fp32; empty without one.
    kl_coef: what the rewards were shaped with."""

    old_N: Tensor
    reference_N: Tensor
    advantage_N: Tensor
    seen_BK: Tensor
    prompts: int
    answers: int
    targets: int
    value_N: Tensor
    return_N: Tensor
    kl_coef: float

    def __len__(self) -> int:
        return self.prompts


@dataclass(frozen=True)
class Algorithm:
    """A row of the table. advantages: of the rewards [G, S]; None where a critic finds those of tokens. ratio: of a
    token, or of the answer as a whole, per token. weights: (tokens of each answer [B], answers and tokens of the step,
    most tokens of an answer) -> by what each token's term counts, [B]. kl: a term of the loss, or taken off the
    reward."""

    advantages: Callable[[Tensor], Tensor] | None
    ratio: Literal["token", "answer"]
    weights: Callable[[Tensor, int, int, int], Tensor]
    kl: Literal["loss", "reward"]


def normalised(reward_GS: Tensor) -> Tensor:
    """Return (R - mean) / std among the answers to a prompt (Shao et al. 2024, arXiv 2402.03300, section 4.1.2)."""
    return (reward_GS - reward_GS.mean(1, keepdim=True)) / (reward_GS.std(1, keepdim=True) + EPS)


def centred(reward_GS: Tensor) -> Tensor:
    """Return R - mean: a deviation would weigh easy and hard prompts more (Liu et al. 2025, arXiv 2503.20783)."""
    return reward_GS - reward_GS.mean(1, keepdim=True)


def leave_one_out(reward_GS: Tensor) -> Tensor:
    """Return R - mean of the other answers' (Ahmadian et al. 2024, arXiv 2402.14740, equation 8)."""
    return centred(reward_GS) * reward_GS.shape[1] / (reward_GS.shape[1] - 1)


def mean_of_answers(length_B: Tensor, answers: int, targets: int, most: int) -> Tensor:
    """Return weights of a mean over answers of their tokens' means (GRPO): long answers' tokens count less."""
    return 1 / (length_B * answers)


def mean_of_tokens(length_B: Tensor, answers: int, targets: int, most: int) -> Tensor:
    """Return weights of a mean over all tokens of the step (DAPO, Yu et al. 2025, arXiv 2503.14476, equation 8)."""
    return torch.full_like(length_B, 1 / targets)


def constant(length_B: Tensor, answers: int, targets: int, most: int) -> Tensor:
    """Return weights of a sum over tokens, divided by a constant, which has no bias towards a length (Dr. GRPO)."""
    return torch.full_like(length_B, 1 / (answers * most))


def summed(length_B: Tensor, answers: int, targets: int, most: int) -> Tensor:
    """Return weights of a mean over answers of their tokens' sums: the gradient of log p of an answer (RLOO)."""
    return torch.full_like(length_B, 1 / answers)


ALGORITHMS = {
    "grpo": Algorithm(normalised, "token", mean_of_answers, "loss"),
    "dapo": Algorithm(normalised, "token", mean_of_tokens, "loss"),
    "dr_grpo": Algorithm(centred, "token", constant, "loss"),
    "gspo": Algorithm(normalised, "answer", mean_of_answers, "loss"),  # Zheng et al. 2025, arXiv 2507.18071, eq. 5
    "rloo": Algorithm(leave_one_out, "token", summed, "reward"),
    "ppo": Algorithm(None, "token", mean_of_tokens, "reward"),  # Schulman et al. 2017, arXiv 1707.06347, equation 9
}


def sequences_of(texts: Sequence[Sequence[int]], prompts: Sequence[int], pad: int) -> Sequences:
    """Pad texts, the first `prompts` tokens of each of which are not answered ones."""
    masks = [np.arange(len(text)) >= begin for text, begin in zip(texts, prompts, strict=True)]
    return Sequences(*padded(texts, masks, pad))


def answer_states(model: CausalLM, part: Sequences) -> Tensor:
    """Return the hidden states [N, D] that predict the answers' tokens, row by row, with the bytes of the engine that
    answered."""
    return hidden(model, part.tokens_BT[:, :-1])[part.mask_BT[:, 1:]]


def answer_log_probs(model: CausalLM, part: Sequences) -> Tensor:
    """Return fp32 log-probabilities [N, V] where the answers' tokens are, likewise."""
    return output_logits(model, answer_states(model, part)).log_softmax(-1)


def chosen(log_p_NV: Tensor, part: Sequences) -> Tensor:
    """Return those of the answers' tokens, [N]."""
    return log_p_NV.gather(1, part.tokens_BT[part.mask_BT][:, None])[:, 0]


class PolicyGradient(Objective):
    """The loss above, of a row of the table. seen: the names of what is logged of each answer."""

    critics: tuple[str, ...] = ()
    """Names of the figures that `criticised` gives."""

    def __init__(self, model: CausalLM, settings: PolicySettings, seen: Sequence[str]) -> None:
        super().__init__(model, DTYPES[settings.dtype])
        self.settings, self.algorithm = settings, ALGORITHMS[settings.algorithm]
        self.stage = f"align.{settings.algorithm}"
        self.figures = ("kl", "entropy", "clip_fraction", "log_ratio", *self.critics, *seen)

    def loss(self, part: Experience, batch_size: int) -> tuple[Tensor, Tensor]:
        """Return the part's share of the loss, and of its figures: means over all tokens of the estimate of the KL
        divergence, of the entropy, of what is clipped, of |log ratio|; then means over all answers."""
        settings = self.settings
        with self.products(part.tokens_BT.device):
            x_ND = answer_states(self.model, part)
            log_p_NV = output_logits(self.model, x_ND).log_softmax(-1)
        log_prob_N = chosen(log_p_NV, part)
        length_B = part.mask_BT.sum(1)
        row_N = part.mask_BT.nonzero()[:, 0]
        log_ratio_N = log_prob_N - part.old_N
        if self.algorithm.ratio == "answer":
            mean_B = log_ratio_N.new_zeros(len(length_B)).index_add(0, row_N, log_ratio_N) / length_B
            log_ratio_N = mean_B[row_N]
        ratio_N, advantage_N = log_ratio_N.exp(), part.advantage_N
        free_N = ratio_N * advantage_N
        bound_N = ratio_N.clamp(1 - settings.clip_low, 1 + settings.clip_high) * advantage_N
        kl_N = estimated(log_prob_N, part.reference_N)
        loss_N = -torch.minimum(free_N, bound_N)
        if self.algorithm.kl == "loss":
            loss_N = loss_N + settings.kl_coef * kl_N
        weight_B = self.algorithm.weights(length_B.float(), part.answers, part.targets, settings.max_new_tokens)
        with torch.no_grad():
            of_tokens = (kl_N, entropy(log_p_NV), (bound_N < free_N).float(), log_ratio_N.abs())
            figures = [values_N.double().sum() / part.targets for values_N in of_tokens]
        loss = (loss_N * weight_B[row_N]).sum()
        more, of_critic = self.criticised(x_ND, part, batch_size)
        figures_K = torch.cat((torch.stack([*figures, *of_critic]), part.seen_BK.sum(0) / part.answers))
        return loss if more is None else loss + more, figures_K

    def criticised(self, x_ND: Tensor, part: Experience, batch_size: int) -> tuple[Tensor | None, list[Tensor]]:
        """Return the part's share of a critic's loss, None without a critic, and of its figures."""
        return None, []


def entropy(log_p_NV: Tensor) -> Tensor:
    """Return the entropy of each row's distribution, [N]; some rows at once, whose copies stay in the cache."""
    return torch.cat([-(some.exp() * some).sum(-1) for some in log_p_NV.split(ROWS)])


def estimated(log_prob_N: Tensor, reference_N: Tensor) -> Tensor:
    """Return k3 of each token, ref/p - log ref/p - 1: no less than 0, and exactly 0 where the two agree."""
    log_ratio_N = reference_N - log_prob_N
    return log_ratio_N.exp() - log_ratio_N - 1
