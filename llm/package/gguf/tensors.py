"""Translates tensors between our names and GGUF's. Pure functions on dicts of tensors.

llama's rotated pairs stand side by side in GGUF, and at a distance of half a head in ours; gpt2, bloom and mpt fuse
query, key and value, one after the other.
"""

import re

import torch

from llm.errors import InputError
from llm.model.config import ModelConfig
from llm.package.gguf.architectures import FUSED, PERMUTED

OUTSIDE = {
    "model.embed_tokens": "token_embd",
    "model.embed_positions": "position_embd",
    "model.embed_norm": "token_embd_norm",
    "model.norm": "output_norm",
    "lm_head": "output",
}
IN_LAYER = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
QKV = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
FUSED_NAME = "attn_qkv"
OURS = re.compile(r"^model\.layers\.(\d+)\.(.+)\.(weight|bias)$")
THEIRS = re.compile(r"^blk\.(\d+)\.(.+)\.(weight|bias)$")


def to_gguf(architecture: str, config: ModelConfig, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a model's tensors by GGUF's names and in its layout."""
    result = {}
    for name, tensor in tensors.items():
        layer = OURS.match(name)
        if layer is None:
            module, kind = name.rsplit(".", 1)
            result[f"{OUTSIDE[module]}.{kind}"] = tensor
            continue
        index, module, kind = layer.groups()
        if architecture in FUSED and module in QKV:
            if module == QKV[0]:
                parts = [tensors[f"model.layers.{index}.{part}.{kind}"] for part in QKV]
                result[f"blk.{index}.{FUSED_NAME}.{kind}"] = torch.cat(parts)
            continue
        if architecture in PERMUTED and module in QKV[:2]:
            heads = config.n_heads if module == QKV[0] else config.n_kv_heads
            tensor = tensor.unflatten(0, (heads, 2, -1)).transpose(1, 2).flatten(0, 2)
        result[f"blk.{index}.{IN_LAYER[module]}.{kind}"] = tensor
    return result


def to_ours(architecture: str, config: ModelConfig, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Translate back. Raises InputError for a tensor that the architecture does not have."""
    outside = {theirs: ours for ours, theirs in OUTSIDE.items()}
    in_layer = {theirs: ours for ours, theirs in IN_LAYER.items()}
    result = {}
    for name, tensor in tensors.items():
        layer = THEIRS.match(name)
        index, module, kind = layer.groups() if layer else ("", *name.rpartition(".")[::2])
        if layer and module == FUSED_NAME and architecture in FUSED:
            for part, piece in zip(QKV, tensor.chunk(3), strict=True):
                result[f"model.layers.{index}.{part}.{kind}"] = piece.contiguous()
            continue
        known = in_layer if layer else outside
        if module not in known:
            raise InputError(f"GGUF: tensor {name} is not one of {architecture}'s that are supported")
        ours = known[module]
        if architecture in PERMUTED and ours in QKV[:2]:
            heads = config.n_heads if ours == QKV[0] else config.n_kv_heads
            if tensor.shape[0] % (2 * heads):
                raise InputError(f"GGUF: {name} has {tensor.shape[0]} rows, which {heads} heads do not divide")
            tensor = tensor.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2).contiguous()
        result[f"model.layers.{index}.{ours}.{kind}" if layer else f"{ours}.{kind}"] = tensor
    return result
