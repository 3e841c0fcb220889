"""Builds megatron-core's GPTModel from a ModelConfig, and refuses what megatron-core cannot train.

Attention, norms and RoPE's tables are this repository's, on every device: megatron-core's own need CUDA, CUDA
extensions or Transformer Engine, support no context parallelism without it, or compute RoPE's scalings differently. The
matrices, their splitting, the pipeline and all communication are megatron-core's.

Legend: S tokens of this rank, B rows, N query heads, K key-value heads, H d_head, C tokens of a whole sequence.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from megatron.core import parallel_state
from megatron.core.models.gpt import GPTModel
from megatron.core.models.gpt.gpt_layer_specs import (
    get_gpt_layer_local_spec,
)
from megatron.core.tensor_parallel import (
    ColumnParallelLinear,
    RowParallelLinear,
    VocabParallelEmbedding,
    gather_from_sequence_parallel_region,
    set_tensor_model_parallel_attributes,
)
from megatron.core.transformer import ModuleSpec, TransformerConfig
from megatron.core.transformer.transformer_block import TransformerBlockSubmodules, get_num_layers_to_build
from megatron.core.transformer.transformer_layer import TransformerLayer

from llm.errors import InputError
from llm.model.config import ModelConfig, has_beta
from llm.model.positions import rotary_frequencies
from llm.model.transformer import attend
from llm.training.engines.layout import Layout

ACTIVATIONS = {
    "swiglu": F.silu,
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
}
SPLIT = (ColumnParallelLinear, RowParallelLinear, VocabParallelEmbedding)


def check(config: ModelConfig, layout: Layout) -> None:
    """Raise InputError, one line that begins with the config key, for what this engine cannot train."""
    for key, value in (
        ("position", ("rope", "learned")),
        ("norm_order", ("pre",)),
        ("embedding_norm", (False,)),
        ("qkv_bias", (False,)),
    ):
        if getattr(config, key) not in value:
            raise InputError(
                f"model.{key}: {getattr(config, key)!r} is not in megatron-core; set pretrain.parallel.engine: torch"
            )
    if (config.rope_scaling or {}).get("rope_type") == "yarn":
        raise InputError("model.rope_scaling: yarn is not in this engine; set pretrain.parallel.engine: torch")
    for key in ("n_heads", "n_kv_heads", "d_ff"):
        if getattr(config, key) % layout.tensor:
            raise InputError(
                f"pretrain.parallel.tensor: {layout.tensor} does not divide model.{key}: {getattr(config, key)}; "
                "change one of them"
            )
    stages = layout.pipeline * layout.virtual
    if config.n_layers % stages:
        raise InputError(
            f"pretrain.parallel.pipeline: {layout.pipeline} x virtual: {layout.virtual} stages do not divide "
            f"model.n_layers: {config.n_layers}; change one of them"
        )
    if config.context_length % token_unit(layout):
        raise InputError(
            f"model.context_length: {config.context_length} is no multiple of {token_unit(layout)}, into which "
            "pretrain.parallel.context (two parts to a rank) and sequence (one to a tensor rank) cut the tokens"
        )


def token_unit(layout: Layout) -> int:
    """Return the number that a sequence's tokens must be a multiple of."""
    context = 2 * layout.context if layout.context > 1 else 1
    return math.lcm(context, layout.context * layout.tensor if layout.sequence else 1)


def transformer_config(config: ModelConfig, layout: Layout, dtype: torch.dtype) -> TransformerConfig:
    """Return the model in megatron-core's terms. Every fusion that needs a CUDA extension is off."""
    return TransformerConfig(
        num_layers=config.n_layers,
        hidden_size=config.d_model,
        num_attention_heads=config.n_heads,
        num_query_groups=config.n_kv_heads,
        kv_channels=config.d_head,
        ffn_hidden_size=config.d_ff,
        gated_linear_unit=config.activation == "swiglu",
        activation_func=ACTIVATIONS[config.activation],
        add_bias_linear=config.bias,
        normalization="RMSNorm" if config.norm == "rmsnorm" else "LayerNorm",
        layernorm_epsilon=config.norm_eps,
        qk_layernorm=config.qk_norm,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        tensor_model_parallel_size=layout.tensor,
        pipeline_model_parallel_size=layout.pipeline,
        virtual_pipeline_model_parallel_size=layout.virtual if layout.virtual > 1 else None,
        context_parallel_size=layout.context,
        sequence_parallel=layout.sequence,
        params_dtype=torch.float32,
        bf16=dtype == torch.bfloat16,
        fp32_residual_connection=True,  # as under autocast, only products and attention are bf16
        pipeline_dtype=torch.float32,
        use_cpu_initialization=True,
        perform_initialization=False,  # the weights come from llm/model/transformer.py's `initialise`
        calculate_per_token_loss=False,  # must be set before the model is wrapped for data parallelism
        gradient_accumulation_fusion=False,
        masked_softmax_fusion=False,
        persist_layer_norm=False,
        apply_rope_fusion=False,
        bias_activation_fusion=False,
        bias_dropout_fusion=False,
        batch_p2p_comm=False,
        cuda_graph_scope=[],  # the default causes a warning
    )


def build_stage(
    config: ModelConfig, core: TransformerConfig, vocabulary: int, virtual_stage: int | None, recompute: bool
) -> GPTModel:
    """Build the layers of this pipeline rank (or of one of its virtual stages), weights not yet set. `vocabulary`: rows
    of the embedding, padding included."""
    first = parallel_state.is_pipeline_first_stage(ignore_virtual=False, vp_stage=virtual_stage)
    last = parallel_state.is_pipeline_last_stage(ignore_virtual=False, vp_stage=virtual_stage)
    layers = get_num_layers_to_build(core, vp_stage=virtual_stage)
    rope = config.position == "rope"
    model = GPTModel(
        core,
        TransformerBlockSubmodules(
            layer_specs=[layer_spec(config, recompute)] * layers,
            layer_norm=ModuleSpec(Norm, params={"shift": has_beta(config)}),
        ),
        vocab_size=vocabulary,
        max_sequence_length=config.context_length,
        pre_process=first,
        post_process=last,
        share_embeddings_and_output_weights=config.tie_embeddings,
        position_embedding_type="rope" if rope else "learned_absolute",
        rotary_base=config.rope_theta,
        vp_stage=virtual_stage,
    )
    if rope:
        model.rotary_pos_emb = Rotary(config)
    for module in model.modules():  # else set with megatron-core's initial weights; the gradient's norm goes by it
        if isinstance(module, SPLIT) and module.weight is not None:
            set_tensor_model_parallel_attributes(module.weight, True, int(isinstance(module, RowParallelLinear)), 1)
    return model


def layer_spec(config: ModelConfig, recompute: bool) -> ModuleSpec:
    """Return the specification of one layer."""
    spec = get_gpt_layer_local_spec(qk_layernorm=config.qk_norm)
    norm, head_norm = (ModuleSpec(Norm, params={"shift": shift}) for shift in (has_beta(config), False))
    attention = spec.submodules.self_attention.submodules
    spec.submodules.self_attn_bda = spec.submodules.mlp_bda = residual_add
    spec.submodules.input_layernorm = spec.submodules.pre_mlp_layernorm = norm
    attention.core_attention = Attention
    if config.qk_norm:
        head_norm.params["kind"] = "RMSNorm"
        attention.q_layernorm = attention.k_layernorm = head_norm
    if recompute:
        spec.module = RecomputedLayer
    return spec


def residual_add(training: bool, fused: bool) -> Callable:
    """Return the function that adds bias, dropout and residual; megatron-core's own rounds the residual to bf16."""
    return add


def add(x_and_bias: tuple[torch.Tensor, torch.Tensor | None], residual: torch.Tensor, dropout: float) -> torch.Tensor:
    """Add bias and residual in the residual's dtype, fp32."""
    x, bias = x_and_bias
    return residual + (x if bias is None else x + bias)


class RecomputedLayer(TransformerLayer):
    """A layer that keeps only its input and runs again in the backward pass (Chen et al. 2016). megatron-core's own
    saves CUDA's random states, which are not needed without dropout."""

    def forward(self, *args, **kwargs):
        return torch.utils.checkpoint.checkpoint(
            super().forward, *args, use_reentrant=False, preserve_rng_state=False, **kwargs
        )


class Norm(torch.nn.Module):
    """RMSNorm or LayerNorm over the last dimension; statistics in fp32, the result in the weight's dtype."""

    def __init__(
        self, config: TransformerConfig, hidden_size: int, eps: float, shift: bool = False, kind: str | None = None
    ) -> None:
        super().__init__()
        self.eps, self.rms = eps, (kind or config.normalization) == "RMSNorm"
        self.weight = torch.nn.Parameter(torch.ones(hidden_size))
        self.bias = torch.nn.Parameter(torch.zeros(hidden_size)) if shift and not self.rms else None
        # Each tensor rank sees a part of the tokens, so gradients are summed.
        for parameter in self.parameters():
            parameter.sequence_parallel = config.sequence_parallel  # type: ignore[attr-defined]  # megatron-core reads it

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        dtype, x32 = self.weight.dtype, x.float()
        if self.rms:
            return (x32 * torch.rsqrt(x32.square().mean(-1, keepdim=True) + self.eps)).to(dtype) * self.weight
        bias = None if self.bias is None else self.bias.float()
        return F.layer_norm(x32, x32.shape[-1:], self.weight.float(), bias, self.eps).to(dtype)


class Rotary(torch.nn.Module):
    """The angles of RoPE for this rank's tokens, with the interface that GPTModel expects."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config

    def get_rotary_seq_len(self, inference_context, decoder, decoder_input, core: TransformerConfig, *_) -> int:
        """Return the tokens of the whole sequence, computed from this rank's."""
        tokens = (decoder_input if decoder.input_tensor is None else decoder.input_tensor).shape[0]
        return tokens * core.context_parallel_size * (core.tensor_model_parallel_size if core.sequence_parallel else 1)

    def forward(self, tokens: int, **_) -> torch.Tensor:
        """Return the angles, fp32 [S, 1, 1, H]."""
        position_S = own_positions(tokens)
        frequency_P = rotary_frequencies(self.config, tokens, position_S.device)[0]
        angle_SP = position_S[:, None].float() * frequency_P
        return torch.cat((angle_SP, angle_SP), dim=-1)[:, None, None]


class Attention(torch.nn.Module):
    """Causal attention over the heads of this tensor rank. With context parallelism a rank holds its own queries and
    gathers all keys and values (as in Llama 3, Grattafiori et al. 2024, section 3.3.2)."""

    def __init__(self, config: TransformerConfig, pg_collection, **_) -> None:
        super().__init__()
        self.group = pg_collection.cp if config.context_parallel_size > 1 else None

    def forward(self, q_SBNH, k_SBKH, v_SBKH, attention_mask=None, **_) -> torch.Tensor:
        """Return the heads' outputs, [S, B, N H]."""
        visible = None
        if self.group is not None:
            k_SBKH, v_SBKH = (gather_from_sequence_parallel_region(x, group=self.group) for x in (k_SBKH, v_SBKH))
            size, tokens = self.group.size(), len(k_SBKH)
            position_C = torch.cat([positions_of(rank, size, tokens) for rank in range(size)])
            visible = (own_positions(tokens)[:, None] >= position_C)[None, None]
        q, k, v = (x.permute(1, 2, 0, 3) for x in (q_SBNH, k_SBKH, v_SBKH))
        return attend(q, k, v, visible).permute(2, 0, 1, 3).flatten(2)


def own_positions(tokens: int) -> torch.Tensor:
    """Return which tokens of a sequence this rank holds: int64 [S]."""
    group = parallel_state.get_context_parallel_group()
    return positions_of(group.rank(), group.size(), tokens)


def positions_of(rank: int, size: int, tokens: int) -> torch.Tensor:
    """Return which tokens a context rank holds, int64 [S]. The sequence is cut into 2 x size parts; rank r holds part r
    and the r-th from the end, so that under a causal mask all ranks have equal work."""
    every = torch.arange(tokens, device="cuda" if torch.cuda.is_available() else "cpu")
    part = tokens // (2 * size)
    last = tokens - (rank + 1) * part
    return every if size == 1 else torch.cat((every[rank * part :][:part], every[last:][:part]))
