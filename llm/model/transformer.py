"""A Llama-family decoder: RMSNorm, rotary positions, grouped-query attention, SwiGLU, optionally tied embeddings.

Parameter names are those of transformers' LlamaForCausalLM, and so is the arithmetic. Projections are plain nn.Linear
modules that adapters and quantized layers replace from outside. No dropout, no training loop, no sampling.

Legend: B batch, T tokens, S key slots, D d_model, N query heads, K key-value heads, G query heads per key-value head,
H d_head, V vocabulary.
"""

import torch
import torch.nn.functional as F
from torch import nn

from llm.model.cache import KVCache
from llm.model.config import ModelConfig

PLAIN_ATTENTION_TOKENS = 1024


class CausalLM(nn.Module):
    """Next-token logits. Weights are in the default dtype (fp32) and uninitialised by design until `initialise`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config.validate()
        self.model = Decoder(config)
        if not config.tie_embeddings:
            self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)

    def forward(self, tokens_BT: torch.Tensor, cache: KVCache | None = None) -> torch.Tensor:
        """int64 [B, T] -> logits [B, T, V]. With a cache the tokens continue its rows, and it grows by T."""
        return F.linear(self.hidden(tokens_BT, cache), self.output_weight)

    def hidden(self, tokens_BT: torch.Tensor, cache: KVCache | None = None) -> torch.Tensor:
        """int64 [B, T] -> [B, T, D] after the final norm, what the output layer multiplies."""
        return self.model(tokens_BT, cache)

    @property
    def output_weight(self) -> torch.Tensor:
        """[V, D]: the embedding when tied (Press and Wolf 2017)."""
        return self.model.embed_tokens.weight if self.config.tie_embeddings else self.lm_head.weight


class Decoder(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.d_model)
        self.layers = nn.ModuleList(Layer(config, index) for index in range(config.n_layers))
        self.norm = RMSNorm(config.d_model, config.norm_eps)

    def forward(self, tokens_BT: torch.Tensor, cache: KVCache | None) -> torch.Tensor:
        n_tokens = tokens_BT.shape[1]
        if cache is None:
            position_BT = torch.arange(n_tokens, device=tokens_BT.device)[None]
            visible_BTS = None
        else:
            position_BT = cache.positions(n_tokens)
            slot_S = torch.arange(int(position_BT.max()) + 1, device=tokens_BT.device)
            visible_BTS = slot_S <= position_BT[..., None]
        cos_BTH, sin_BTH = rotary_tables(position_BT, self.config.d_head, self.config.rope_theta)
        x_BTD = self.embed_tokens(tokens_BT)
        for layer in self.layers:
            x_BTD = layer(x_BTD, cos_BTH, sin_BTH, visible_BTS, cache, position_BT)
        if cache is not None:
            cache.advance(n_tokens)
        return self.norm(x_BTD)


class Layer(nn.Module):
    """Pre-norm block: x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config: ModelConfig, index: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.d_model, config.norm_eps)
        self.self_attn = Attention(config, index)
        self.post_attention_layernorm = RMSNorm(config.d_model, config.norm_eps)
        self.mlp = SwiGLU(config)

    def forward(self, x_BTD, cos_BTH, sin_BTH, visible_BTS, cache, position_BT) -> torch.Tensor:
        x_BTD = x_BTD + self.self_attn(self.input_layernorm(x_BTD), cos_BTH, sin_BTH, visible_BTS, cache, position_BT)
        return x_BTD + self.mlp(self.post_attention_layernorm(x_BTD))


class Attention(nn.Module):
    """Grouped-query attention (Ainslie et al. 2023); n_kv_heads = n_heads is multi-head, 1 is multi-query."""

    def __init__(self, config: ModelConfig, index: int) -> None:
        super().__init__()
        self.index = index
        self.d_head = config.d_head
        self.q_proj = nn.Linear(config.d_model, config.n_heads * config.d_head, bias=False)
        self.k_proj = nn.Linear(config.d_model, config.n_kv_heads * config.d_head, bias=False)
        self.v_proj = nn.Linear(config.d_model, config.n_kv_heads * config.d_head, bias=False)
        self.o_proj = nn.Linear(config.n_heads * config.d_head, config.d_model, bias=False)

    def forward(self, x_BTD, cos_BTH, sin_BTH, visible_BTS, cache, position_BT) -> torch.Tensor:
        q_BNTH = rotate(self.heads(self.q_proj(x_BTD)), cos_BTH, sin_BTH)
        k_BKTH = rotate(self.heads(self.k_proj(x_BTD)), cos_BTH, sin_BTH)
        v_BKTH = self.heads(self.v_proj(x_BTD))
        if cache is not None:
            k_BKTH, v_BKTH = cache.update(self.index, k_BKTH, v_BKTH, position_BT)
        o_BNTH = attend(q_BNTH, k_BKTH.to(q_BNTH.dtype), v_BKTH.to(q_BNTH.dtype), visible_BTS)
        return self.o_proj(o_BNTH.transpose(1, 2).flatten(2))

    def heads(self, y_BTE: torch.Tensor) -> torch.Tensor:
        """[B, T, heads * H] -> [B, heads, T, H]"""
        return y_BTE.unflatten(-1, (-1, self.d_head)).transpose(1, 2)


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)) (Shazeer 2020)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.up_proj = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.down_proj = nn.Linear(config.d_ff, config.d_model, bias=False)

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        return self.down_proj(F.silu(self.gate_proj(x_BTD)) * self.up_proj(x_BTD))


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight, statistics in fp32 (Zhang and Sennrich 2019)."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        x32_BTD = x_BTD.float()
        scale_BT1 = torch.rsqrt(x32_BTD.square().mean(-1, keepdim=True) + self.eps)
        return (x32_BTD * scale_BT1).to(x_BTD.dtype) * self.weight


def rotary_tables(position_BT: torch.Tensor, d_head: int, theta: float) -> tuple[torch.Tensor, torch.Tensor]:
    """fp32 cos, sin [B, T, H] of position * theta^(-2i/H), halves repeated (Su et al. 2021; Llama's layout)."""
    exponent = torch.arange(0, d_head, 2, device=position_BT.device, dtype=torch.float32) / d_head
    angle = position_BT[..., None].float() * (1.0 / theta**exponent)
    angle_BTH = torch.cat((angle, angle), dim=-1)
    return angle_BTH.cos(), angle_BTH.sin()


def rotate(x_BNTH: torch.Tensor, cos_BTH: torch.Tensor, sin_BTH: torch.Tensor) -> torch.Tensor:
    """Rotates the pairs (i, i + H/2) of every head by the position's angle; keeps x's dtype."""
    cos_B1TH, sin_B1TH = cos_BTH[:, None].to(x_BNTH.dtype), sin_BTH[:, None].to(x_BNTH.dtype)
    low, high = x_BNTH.chunk(2, dim=-1)
    return x_BNTH * cos_B1TH + torch.cat((-high, low), dim=-1) * sin_B1TH


def attend(
    q_BNTH: torch.Tensor, k_BKSH: torch.Tensor, v_BKSH: torch.Tensor, visible_BTS: torch.Tensor | None
) -> torch.Tensor:
    """softmax(q k^T / sqrt(H)) v -> [B, N, T, H]; causal where `visible_BTS` is None, which means S = T."""
    if visible_BTS is not None:
        return F.scaled_dot_product_attention(q_BNTH, k_BKSH, v_BKSH, attn_mask=visible_BTS[:, None], enable_gqa=True)
    if q_BNTH.is_cpu and q_BNTH.shape[2] <= PLAIN_ATTENTION_TOKENS:
        return attend_plainly(q_BNTH, k_BKSH, v_BKSH)
    return F.scaled_dot_product_attention(q_BNTH, k_BKSH, v_BKSH, is_causal=True, enable_gqa=True)


def attend_plainly(q_BNTH: torch.Tensor, k_BKTH: torch.Tensor, v_BKTH: torch.Tensor) -> torch.Tensor:
    """Causal attention that keeps all T x T scores. On a CPU, short sequences: a quarter of SDPA's time in bf16
    (its backward pass is the slow part). Query heads that share a key-value head are rows of one product."""
    n_rows, n_kv_heads, n_tokens, d_head = k_BKTH.shape
    q = q_BNTH.reshape(n_rows * n_kv_heads, -1, d_head)  # [B K, G T, H]
    k = k_BKTH.reshape(n_rows * n_kv_heads, n_tokens, d_head)
    v = v_BKTH.reshape(n_rows * n_kv_heads, n_tokens, d_head)
    hidden_TT = torch.full((n_tokens, n_tokens), float("-inf"), dtype=q.dtype, device=q.device).triu(1)
    hidden = hidden_TT.repeat(q.shape[1] // n_tokens, 1).expand(q.shape[0], -1, -1)
    scores = torch.baddbmm(hidden, q, k.transpose(1, 2), alpha=d_head**-0.5)
    return torch.bmm(scores.softmax(-1).to(v.dtype), v).view(q_BNTH.shape)


def initialise(model: CausalLM, seed: int) -> CausalLM:
    """Normal(0, 0.02) for every matrix, in place, from one generator in the order of `named_parameters`; norms are one.

    The two projections that write to the residual stream start at zero, so that every block starts as the identity
    (Zhang et al. 2019, Fixup; nanochat).
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                weight.fill_(1.0)
            elif name.endswith(("o_proj.weight", "down_proj.weight")):
                weight.zero_()
            else:
                weight.normal_(0.0, 0.02, generator=generator)
    return model
