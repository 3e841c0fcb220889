"""One decoder-only transformer for every architecture that ModelConfig can state; the default is Llama's.

Parameter names are those of transformers' LlamaForCausalLM, even where another family computes the same
(llm/model/tensor_names.py translates), and so is the arithmetic. Projections are plain nn.Linear modules that adapters
and quantized layers replace from outside. There is no dropout; training and sampling are elsewhere.

Legend: B batch, T tokens, S key slots, D d_model, N query heads, K key-value heads, G query heads per key-value head,
H d_head, F d_ff, V vocabulary, E heads times d_head.
"""

import torch
import torch.nn.functional as F
from torch import nn

from llm.errors import InputError
from llm.model.attending import Attending
from llm.model.config import ModelConfig, has_beta
from llm.model.positions import alibi_bias, rotary_tables, rotate, sinusoids

PLAIN_ATTENTION_TOKENS = 1024
Tables = tuple[torch.Tensor, torch.Tensor] | None


class CausalLM(nn.Module):
    """Computes next-token logits. Weights are in the default dtype (fp32), and uninitialised until `initialise`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config.validate()
        self.model = Decoder(config)
        if not config.tie_embeddings:
            self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)

    def forward(self, tokens_BT: torch.Tensor) -> torch.Tensor:
        """Return logits [B, T, V] for int64 [B, T]."""
        return self.logits(self.hidden(tokens_BT))

    def logits(self, x_BTD: torch.Tensor) -> torch.Tensor:
        """Return the output layer's product, [B, T, V]. Serving may give a tied model a `lm_head` of its own."""
        return self.lm_head(x_BTD) if hasattr(self, "lm_head") else F.linear(x_BTD, self.output_weight)

    def hidden(self, tokens_BT: torch.Tensor, engine: Attending | None = None) -> torch.Tensor:
        """Return [B, T, D] after the last norm, which the output layer multiplies, for int64 [B, T]. An engine says
        where the tokens stand, and attends to what it keeps."""
        return self.model(tokens_BT, engine)

    @property
    def output_weight(self) -> torch.Tensor:
        """The output layer's matrix, [V, D]: the embedding when tied (Press and Wolf 2017)."""
        return self.model.embed_tokens.weight if self.config.tie_embeddings else self.lm_head.weight

    @property
    def device(self) -> torch.device:
        """The device of the weights, where tokens have to be."""
        return self.model.embed_tokens.weight.device


class Decoder(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.d_model)
        if config.position == "learned":
            self.embed_positions = nn.Embedding(config.context_length, config.d_model)
        if config.embedding_norm:
            self.embed_norm = norm(config)
        self.layers = nn.ModuleList(Layer(config, index) for index in range(config.n_layers))
        if config.norm_order == "pre":
            self.norm = norm(config)

    def forward(self, tokens_BT: torch.Tensor, engine: Attending | None) -> torch.Tensor:
        n_tokens = tokens_BT.shape[1]
        if engine is None:
            position_BT, length = torch.arange(n_tokens, device=tokens_BT.device)[None], n_tokens
        else:
            position_BT, length = engine.position_BT, engine.longest
        x_BTD = self.embed(tokens_BT, position_BT, length)
        rotary = rotary_tables(position_BT, self.config, length) if self.config.position == "rope" else None
        mask = None
        if engine is None and self.config.position == "alibi":
            mask = alibi_bias(position_BT, length, self.config.n_heads)
        for layer in self.layers:
            x_BTD = layer(x_BTD, rotary, mask, engine)
        return self.norm(x_BTD) if self.config.norm_order == "pre" else x_BTD

    def embed(self, tokens_BT: torch.Tensor, position_BT: torch.Tensor, length: int) -> torch.Tensor:
        """Return the tokens' vectors [B, T, D], with their positions where those are added."""
        x_BTD = self.embed_tokens(tokens_BT)
        if self.config.position == "learned":
            if length > self.config.context_length:
                raise InputError(
                    f"the model has {self.config.context_length} learned positions (model.context_length), "
                    f"{length} are needed; shorten the input"
                )
            x_BTD = x_BTD + self.embed_positions(position_BT)
        if self.config.position == "sinusoidal":  # the embedding is scaled up (Vaswani et al. 2017, section 3.4)
            sinusoids_BTD = sinusoids(position_BT, self.config.d_model).to(x_BTD.dtype)
            x_BTD = x_BTD * self.config.d_model**0.5 + sinusoids_BTD
        return self.embed_norm(x_BTD) if self.config.embedding_norm else x_BTD


class Layer(nn.Module):
    """Attention, then the feed-forward, each with its norm and its residual.

    norm_order "pre": x + f(norm(x)); "post": norm(x + f(x)), where the norms have the names of "pre"."""

    def __init__(self, config: ModelConfig, index: int) -> None:
        super().__init__()
        self.post = config.norm_order == "post"
        self.input_layernorm = norm(config)
        self.self_attn = Attention(config, index)
        self.post_attention_layernorm = norm(config)
        self.mlp = SwiGLU(config) if config.activation == "swiglu" else FeedForward(config)

    def forward(self, x_BTD, rotary: Tables, mask, engine: Attending | None) -> torch.Tensor:
        if self.post:
            x_BTD = self.input_layernorm(x_BTD + self.self_attn(x_BTD, rotary, mask, engine))
            return self.post_attention_layernorm(x_BTD + self.mlp(x_BTD))
        x_BTD = x_BTD + self.self_attn(self.input_layernorm(x_BTD), rotary, mask, engine)
        return x_BTD + self.mlp(self.post_attention_layernorm(x_BTD))


class Attention(nn.Module):
    """Grouped-query attention (Ainslie et al. 2023); n_kv_heads = n_heads is multi-head, 1 is multi-query."""

    def __init__(self, config: ModelConfig, index: int) -> None:
        super().__init__()
        self.index, self.d_head, self.qk_norm = index, config.d_head, config.qk_norm
        q_width, kv_width = config.n_heads * config.d_head, config.n_kv_heads * config.d_head
        biased = config.bias or config.qkv_bias
        self.q_proj = nn.Linear(config.d_model, q_width, bias=biased)
        self.k_proj = nn.Linear(config.d_model, kv_width, bias=biased)
        self.v_proj = nn.Linear(config.d_model, kv_width, bias=biased)
        self.o_proj = nn.Linear(q_width, config.d_model, bias=config.bias)
        if config.qk_norm:
            self.q_norm = RMSNorm(config.d_head, config.norm_eps)
            self.k_norm = RMSNorm(config.d_head, config.norm_eps)

    def forward(self, x_BTD, rotary: Tables, mask, engine: Attending | None) -> torch.Tensor:
        q_BNTH, k_BKTH = self.heads(self.q_proj(x_BTD)), self.heads(self.k_proj(x_BTD))
        v_BKTH = self.heads(self.v_proj(x_BTD))
        if self.qk_norm:  # under autocast the norm's fp32 weight would make them fp32
            q_BNTH, k_BKTH = self.q_norm(q_BNTH).to(q_BNTH.dtype), self.k_norm(k_BKTH).to(k_BKTH.dtype)
        if rotary is not None:
            q_BNTH, k_BKTH = rotate(q_BNTH, *rotary), rotate(k_BKTH, *rotary)
        if engine is not None:
            o_BNTH = engine.attend(self.index, q_BNTH, k_BKTH, v_BKTH)
        else:
            o_BNTH = attend(q_BNTH, k_BKTH, v_BKTH, mask)
        return self.o_proj(o_BNTH.transpose(1, 2).flatten(2))

    def heads(self, y_BTE: torch.Tensor) -> torch.Tensor:
        """Reshape [B, T, heads * H] to [B, heads, T, H]."""
        return y_BTE.unflatten(-1, (-1, self.d_head)).transpose(1, 2)


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)) (Shazeer 2020)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.d_model, config.d_ff, bias=config.bias)
        self.up_proj = nn.Linear(config.d_model, config.d_ff, bias=config.bias)
        self.down_proj = nn.Linear(config.d_ff, config.d_model, bias=config.bias)

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        return self.down_proj(F.silu(self.gate_proj(x_BTD)) * self.up_proj(x_BTD))


class FeedForward(nn.Module):
    """down(f(up(x))) with f ReLU (Vaswani et al. 2017), GELU (Hendrycks and Gimpel 2016) or its tanh form (GPT-2)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.activation = config.activation
        self.up_proj = nn.Linear(config.d_model, config.d_ff, bias=config.bias)
        self.down_proj = nn.Linear(config.d_ff, config.d_model, bias=config.bias)

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        h_BTF = self.up_proj(x_BTD)
        if self.activation == "relu":
            return self.down_proj(F.relu(h_BTF))
        return self.down_proj(F.gelu(h_BTF, approximate="tanh" if self.activation == "gelu_tanh" else "none"))


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


def norm(config: ModelConfig) -> nn.Module:
    """Make a norm over d_model: RMSNorm, or LayerNorm with a shift where the config has biases."""
    if config.norm == "rmsnorm":
        return RMSNorm(config.d_model, config.norm_eps)
    return nn.LayerNorm(config.d_model, config.norm_eps, bias=has_beta(config))


def attend(q_BNTH: torch.Tensor, k_BKSH: torch.Tensor, v_BKSH: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Return softmax(q k^T / sqrt(H) + bias) v, [B, N, T, H]. `mask`: None, causal with S = T; bool [B, 1, T, S], which
    slots are seen; float [1 or B, N, T, S], biases, with -inf where nothing is seen."""
    fast = q_BNTH.is_cpu and q_BNTH.shape[2] <= PLAIN_ATTENTION_TOKENS
    if not q_BNTH.is_cpu and (mask is not None or q_BNTH.dtype == torch.float32):
        # On a GPU only flash attention shares heads by itself, and it supports neither a mask nor fp32.
        k_BKSH, v_BKSH = (for_each_query_head(x, q_BNTH.shape[1]) for x in (k_BKSH, v_BKSH))
    if mask is None:
        if fast:
            return attend_plainly(q_BNTH, k_BKSH, v_BKSH)
        return F.scaled_dot_product_attention(q_BNTH, k_BKSH, v_BKSH, is_causal=True, enable_gqa=True)
    if mask.is_floating_point():
        if fast and mask.shape[0] == 1 and mask.shape[2] == mask.shape[3]:
            return attend_plainly(q_BNTH, k_BKSH, v_BKSH, mask[0])
        mask = mask.to(q_BNTH.dtype)
    return F.scaled_dot_product_attention(q_BNTH, k_BKSH, v_BKSH, attn_mask=mask, enable_gqa=True)


def for_each_query_head(x_BKSH: torch.Tensor, n_heads: int) -> torch.Tensor:
    """Repeat each key-value head's keys or values for the query heads that share it: [B, N, S, H]."""
    if x_BKSH.shape[1] == n_heads:
        return x_BKSH
    return x_BKSH[:, :, None].expand(-1, -1, n_heads // x_BKSH.shape[1], -1, -1).flatten(1, 2)


def attend_plainly(
    q_BNTH: torch.Tensor, k_BKTH: torch.Tensor, v_BKTH: torch.Tensor, bias_NTT: torch.Tensor | None = None
) -> torch.Tensor:
    """Compute causal attention with all T x T scores in memory. For short sequences on a CPU it takes a quarter of
    SDPA's time in bf16 (SDPA's backward pass is slow). Query heads that share a key-value head are rows of one
    product."""
    n_rows, n_kv_heads, n_tokens, d_head = k_BKTH.shape
    q = q_BNTH.reshape(n_rows * n_kv_heads, -1, d_head)  # [B K, G T, H]
    k = k_BKTH.reshape(n_rows * n_kv_heads, n_tokens, d_head)
    v = v_BKTH.reshape(n_rows * n_kv_heads, n_tokens, d_head)
    if bias_NTT is None:
        hidden_TT = torch.full((n_tokens, n_tokens), float("-inf"), dtype=q.dtype, device=q.device).triu(1)
        bias = hidden_TT.repeat(q.shape[1] // n_tokens, 1).expand(q.shape[0], -1, -1)
    else:
        bias = bias_NTT.to(q.dtype).reshape(n_kv_heads, -1, n_tokens).repeat(n_rows, 1, 1)
    scores = torch.baddbmm(bias, q, k.transpose(1, 2), alpha=d_head**-0.5)
    return torch.bmm(scores.softmax(-1).to(v.dtype), v).view(q_BNTH.shape)


def initialise(model: CausalLM, seed: int) -> CausalLM:
    """Initialise every matrix as Normal(0, init_std), in place, from one generator in the order of `named_parameters`;
    norms' scales are one, biases zero. The two projections that write to the residual stream depend on `config.init`:

    zero_residual: zero, so that every block starts as the identity (Zhang et al. 2019, Fixup; nanochat).
    scaled: init_std / sqrt(2 n_layers) (GPT-2, Radford et al. 2019, section 2.3). normal: as any other.
    """
    config = model.config
    residual_std = config.init_std / (2 * config.n_layers) ** 0.5 if config.init == "scaled" else config.init_std
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            residual = name.endswith(("o_proj.weight", "down_proj.weight"))
            if weight.ndim == 1:
                weight.fill_(0.0 if name.endswith(".bias") else 1.0)
            elif residual and config.init == "zero_residual":
                weight.zero_()
            else:
                weight.normal_(0.0, residual_std if residual else config.init_std, generator=generator)
    return model
