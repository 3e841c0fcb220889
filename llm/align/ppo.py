"""Proximal policy optimisation: a critic that shares the policy's body says what an answer is worth before each token,
and learns it beside the policy (Schulman et al. 2017, arXiv 1707.06347, equation 9, without the entropy bonus).

loss = mean over the step's tokens of -min(r A, clip(r) A) + value_coef / 2 max((V - R)^2, (V_clipped - R)^2)

V_clipped is V, no further than value_clip from what the rollout's critic said; R is A + V of the rollout, before A is
whitened. Legend: N answer tokens, D d_model.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from llm.align.advantages import gae, kl_shaped, whitened
from llm.align.answers import Answer
from llm.align.policy import Experience, PolicyGradient, Sequences, answer_states
from llm.align.settings.policy import PolicySettings
from llm.model.transformer import CausalLM

CRITIC = "critic.safetensors"  # beside the adapter, which loads without it


class Ppo(PolicyGradient):
    """The loss above. `value` (1, d_model) starts at zero."""

    critics = ("value_loss", "value_clip_fraction", "kl_coef")

    def __init__(self, model: CausalLM, settings: PolicySettings, seen: Sequence[str]) -> None:
        super().__init__(model, settings, seen)
        self.value = nn.Linear(model.config.d_model, 1, bias=False, device=model.device)
        nn.init.zeros_(self.value.weight)

    def values(self, x_ND: Tensor) -> Tensor:
        """Return fp32 [N] of hidden states; the product is in fp32 whatever the policy's are in."""
        return F.linear(x_ND.float(), self.value.weight)[:, 0]

    @torch.no_grad()
    def expected(self, part: Sequences) -> Tensor:
        """Return the value of the state before each of the answers' tokens, [N]."""
        with self.products(part.tokens_BT.device):
            x_ND = answer_states(self.model, part)
        return self.values(x_ND)

    def criticised(self, x_ND: Tensor, part: Experience, batch_size: int) -> tuple[Tensor, list[Tensor]]:
        clip = self.settings.value_clip
        value_N = self.values(x_ND)
        kept_N = part.value_N + (value_N - part.value_N).clamp(-clip, clip)
        free_N, bound_N = (value_N - part.return_N).square(), (kept_N - part.return_N).square()
        loss = 0.5 * torch.maximum(free_N, bound_N).sum() / part.targets
        clipped = (bound_N > free_N).double().sum() / part.targets
        coef = torch.tensor(part.kl_coef * len(part) / batch_size, dtype=torch.float64, device=loss.device)
        return self.settings.value_coef * loss, [loss.detach().double(), clipped, coef]


def credited(answers: Sequence[Answer], settings: PolicySettings, kl_coef: float) -> list[Answer]:
    """Return all answers of a rollout with the advantages of their tokens, whitened over all of them, and returns."""
    mask_BT = of_tokens([[1.0] * len(answer.tokens) for answer in answers]) > 0
    log_prob_BT, reference_BT = of_tokens([a.log_probs for a in answers]), of_tokens([a.reference for a in answers])
    value_BT = of_tokens([answer.values for answer in answers])
    score_B = torch.tensor([answer.reward for answer in answers], dtype=torch.float64)
    reward_BT = kl_shaped(score_B, log_prob_BT, reference_BT, mask_BT, kl_coef)
    advantage_BT, return_BT = gae(reward_BT, value_BT, mask_BT, settings.gamma, settings.gae_lambda)
    advantage_BT = whitened(advantage_BT, mask_BT)
    return [
        replace(answer, advantages=advantage_T[:n].tolist(), returns=return_T[:n].tolist())
        for answer, advantage_T, return_T in zip(answers, advantage_BT, return_BT, strict=True)
        for n in [len(answer.tokens)]
    ]


def of_tokens(rows: Sequence[list[float]]) -> Tensor:
    """Return numbers of tokens, padded on the right: fp64 [B, T]."""
    return pad_sequence([torch.tensor(row, dtype=torch.float64) for row in rows], batch_first=True)


def keep_critic(directory: Path, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Write the critic's weight into a file of its own, where there is one; return the other weights."""
    critic = {name: weight for name, weight in weights.items() if name == "value.weight"}
    if critic:
        save_file(critic, directory / CRITIC)
    return {name: weight for name, weight in weights.items() if name not in critic}
