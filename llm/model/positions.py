"""Computes what a token's position adds: rotary tables with their scalings, ALiBi's biases, sinusoids.

Learned positions are a table like the embedding's and need no function here.

Legend: B batch, T tokens, S key slots, D d_model, N query heads, H d_head, P = H / 2 rotated pairs.
"""

import math

import torch

from llm.model.config import ModelConfig

YARN_BETAS = (32.0, 1.0)


def rotary_tables(position_BT: torch.Tensor, config: ModelConfig, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return fp32 cos, sin [B, T, H] of position * frequency, halves repeated (Su et al. 2021; Llama's layout).

    `length`: tokens of the sequence so far, by which "dynamic" scales. Beyond the context length a cached key keeps the
    frequencies that it was written with, as in transformers."""
    frequency_P, factor = rotary_frequencies(config, length, position_BT.device)
    angle = position_BT[..., None].float() * frequency_P
    angle_BTH = torch.cat((angle, angle), dim=-1)
    if factor == 1.0:
        return angle_BTH.cos(), angle_BTH.sin()
    return angle_BTH.cos() * factor, angle_BTH.sin() * factor


def rotary_frequencies(config: ModelConfig, length: int, device: torch.device | str) -> tuple[torch.Tensor, float]:
    """Return fp32 [P] radians per token, theta^(-2i/H) where nothing is scaled, and the factor of cos and sin.

    linear: positions divided by the factor (Chen et al. 2023). dynamic: a larger theta for sequences beyond the
    context length (NTK-aware scaling). yarn, llama3: slow pairs divided by the factor, fast ones kept.
    """
    scaling = config.rope_scaling or {"rope_type": "default"}
    theta, factor = config.rope_theta, scaling.get("factor", 1.0)
    if scaling["rope_type"] == "dynamic":
        stretch = factor * max(length, config.context_length) / config.context_length - (factor - 1)
        theta *= stretch ** (config.d_head / (config.d_head - 2))
    exponent = torch.arange(0, config.d_head, 2, device=device, dtype=torch.float32) / config.d_head
    plain_P = 1.0 / theta**exponent
    if scaling["rope_type"] == "linear":
        return plain_P / factor, 1.0
    if scaling["rope_type"] == "llama3":
        return llama3_frequencies(plain_P, scaling), 1.0
    if scaling["rope_type"] == "yarn":
        attention = scaling.get("attention_factor", 0.1 * math.log(factor) + 1.0)
        return yarn_frequencies(plain_P, theta, scaling), attention
    return plain_P, 1.0


def llama3_frequencies(plain_P: torch.Tensor, scaling: dict) -> torch.Tensor:
    """Scale like Llama 3.1's reference code: pairs that turn more than `high_freq_factor` times within the original
    context are kept, those that turn less than `low_freq_factor` times are divided by the factor, those between get a
    mean."""
    turns_P = scaling["original_max_position_embeddings"] * plain_P / (2 * math.pi)
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    kept_P = ((turns_P - low) / (high - low)).clamp(0, 1)
    return plain_P * (kept_P + (1 - kept_P) / scaling["factor"])


def yarn_frequencies(plain_P: torch.Tensor, theta: float, scaling: dict) -> torch.Tensor:
    """Scale like llama3, with a ramp that is linear in the pair's index between those that turn `beta_fast` and
    `beta_slow` times within the original context (Peng et al. 2023, section 3.2)."""
    n_pairs = len(plain_P)
    original = scaling["original_max_position_embeddings"]

    def pair_of(turns: float) -> float:
        return n_pairs * math.log(original / (turns * 2 * math.pi)) / math.log(theta)

    first = max(math.floor(pair_of(scaling.get("beta_fast", YARN_BETAS[0]))), 0)
    last = min(math.ceil(pair_of(scaling.get("beta_slow", YARN_BETAS[1]))), 2 * n_pairs - 1)
    index_P = torch.arange(n_pairs, device=plain_P.device, dtype=torch.float32)
    divided_P = ((index_P - first) / max(last - first, 0.001)).clamp(0, 1)
    return plain_P * (1 - divided_P + divided_P / scaling["factor"])


def rotate(x_BNTH: torch.Tensor, cos_BTH: torch.Tensor, sin_BTH: torch.Tensor) -> torch.Tensor:
    """Rotate the pairs (i, i + H/2) of every head by the position's angle; x's dtype is kept."""
    cos_B1TH, sin_B1TH = cos_BTH[:, None].to(x_BNTH.dtype), sin_BTH[:, None].to(x_BNTH.dtype)
    low, high = x_BNTH.chunk(2, dim=-1)
    return x_BNTH * cos_B1TH + torch.cat((-high, low), dim=-1) * sin_B1TH


def alibi_slopes(n_heads: int) -> list[float]:
    """Return the slope of each head (Press et al. 2021): 2^(-8k/n) for a power of two n; else those of the power of two
    below, then every other one of the power of two above."""
    power = 2 ** (n_heads.bit_length() - 1)
    slopes = [2.0 ** (-8 * k / power) for k in range(1, power + 1)]
    return slopes + [2.0 ** (-4 * k / power) for k in range(1, 2 * (n_heads - power), 2)]


def alibi_bias(position_BT: torch.Tensor, n_slots: int, n_heads: int) -> torch.Tensor:
    """Return what is added to the scores, fp32 [B, N, T, S]: -slope times the distance, -inf for later keys."""
    device = position_BT.device
    distance_B1TS = (position_BT[..., None] - torch.arange(n_slots, device=device))[:, None]
    slope_N11 = torch.tensor(alibi_slopes(n_heads), dtype=torch.float32, device=device)[:, None, None]
    return (-slope_N11 * distance_B1TS).masked_fill(distance_B1TS < 0, float("-inf"))


def sinusoids(position_BT: torch.Tensor, d_model: int) -> torch.Tensor:
    """Return fp32 [B, T, D]: alternating sin and cos of position * 10000^(-2i/D) (Vaswani et al. 2017, section 3.5)."""
    exponent = torch.arange(0, d_model, 2, device=position_BT.device, dtype=torch.float32) / d_model
    angle = position_BT[..., None].float() * (1.0 / 10000.0**exponent)
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(-2)
