"""Translates a model's tensors between our names and those of the Hugging Face family that its config.json names.

Ours are Llama's for every family: Llama's and Qwen3's files need no translation. GPT-2, BLOOM and MPT fuse query, key
and value, and GPT-2 keeps its matrices transposed (Conv1D). The functions are pure, on dicts of tensors.

Legend: D d_model, N heads, H d_head; a matrix is [out, in], a bias [out].
"""

import re
from dataclasses import dataclass

import torch

Tensors = dict[str, torch.Tensor]
LAYER = re.compile(r"^(.*?)\.(\d+)\.(.+)\.(weight|bias)$")
QKV = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
EMBEDDING = "model.embed_tokens.weight"


@dataclass(frozen=True)
class Names:
    """One family's names. layers: its list of layers. qkv: its fused projection, `by_head` if [N, 3, H] and not [3, N,
    H]. modules: ours -> theirs, outside layers with "model." and "transformer." before them. transposed: [in, out]."""

    layers: str
    qkv: str
    modules: dict[str, str]
    by_head: bool = False
    transposed: bool = False


NAMES = {
    "gpt2": Names(
        "h",
        "attn.c_attn",
        {
            "embed_tokens": "wte",
            "embed_positions": "wpe",
            "norm": "ln_f",
            "input_layernorm": "ln_1",
            "post_attention_layernorm": "ln_2",
            "self_attn.o_proj": "attn.c_proj",
            "mlp.up_proj": "mlp.c_fc",
            "mlp.down_proj": "mlp.c_proj",
        },
        transposed=True,
    ),
    "bloom": Names(
        "h",
        "self_attention.query_key_value",
        {
            "embed_tokens": "word_embeddings",
            "embed_norm": "word_embeddings_layernorm",
            "norm": "ln_f",
            "input_layernorm": "input_layernorm",
            "post_attention_layernorm": "post_attention_layernorm",
            "self_attn.o_proj": "self_attention.dense",
            "mlp.up_proj": "mlp.dense_h_to_4h",
            "mlp.down_proj": "mlp.dense_4h_to_h",
        },
        by_head=True,
    ),
    "mpt": Names(
        "blocks",
        "attn.Wqkv",
        {
            "embed_tokens": "wte",
            "norm": "norm_f",
            "input_layernorm": "norm_1",
            "post_attention_layernorm": "norm_2",
            "self_attn.o_proj": "attn.out_proj",
            "mlp.up_proj": "ffn.up_proj",
            "mlp.down_proj": "ffn.down_proj",
        },
    ),
}


def to_family(family: str | None, n_heads: int, tensors: Tensors) -> Tensors:
    """Return a model's tensors by the names and in the layout of `family`, config.json's model_type."""
    if family not in NAMES:
        return tensors
    names, result = NAMES[family], {}
    for name, tensor in tensors.items():
        layer = LAYER.match(name)
        if layer is None:
            module, kind = name.removeprefix("model.").rsplit(".", 1)
            result[f"transformer.{names.modules[module]}.{kind}" if module in names.modules else name] = tensor
            continue
        stem, index, module, kind = layer.groups()
        if module == QKV[0]:
            parts = [tensors[f"{stem}.{index}.{part}.{kind}"] for part in QKV]
            theirs, tensor = names.qkv, fused(parts, n_heads if names.by_head else 1)
        elif module in QKV:
            continue
        else:
            theirs = names.modules[module]
        result[f"transformer.{names.layers}.{index}.{theirs}.{kind}"] = turned(tensor, names)
    return result


def to_ours(family: str | None, n_heads: int, tensors: Tensors) -> Tensors:
    """Translate back. Tensors that have our names already, and those that the family does not know, stay as they are;
    the prefix "transformer." may be missing, as in the files that were published first."""
    if family not in NAMES or EMBEDDING in tensors:
        return tensors
    names, result = NAMES[family], {}
    ours = {theirs: module for module, theirs in names.modules.items()}
    for name, tensor in tensors.items():
        bare = name.removeprefix("transformer.")
        layer = LAYER.match(bare)
        if layer is None:
            module, _, kind = bare.rpartition(".")
            result[f"model.{ours[module]}.{kind}" if module in ours else name] = tensor
            continue
        _, index, module, kind = layer.groups()
        if module == names.qkv:
            for part, piece in zip(QKV, split(turned(tensor, names), n_heads if names.by_head else 1), strict=True):
                result[f"model.layers.{index}.{part}.{kind}"] = piece
        elif module in ours:
            result[f"model.layers.{index}.{ours[module]}.{kind}"] = turned(tensor, names)
        elif (family, module) != ("gpt2", "attn"):  # attn.bias is the causal mask, a buffer in old files
            result[name] = tensor
    return result


def turned(tensor: torch.Tensor, names: Names) -> torch.Tensor:
    return tensor.T.contiguous() if names.transposed and tensor.ndim == 2 else tensor


def fused(parts: list[torch.Tensor], n_groups: int) -> torch.Tensor:
    """Join three of [n_groups H, ...] to [n_groups 3 H, ...], in which the three of a group follow each other."""
    return torch.stack([part.unflatten(0, (n_groups, -1)) for part in parts], 1).flatten(0, 2)


def split(tensor: torch.Tensor, n_groups: int) -> list[torch.Tensor]:
    """Undo `fused`. A height that does not divide gives parts whose shapes the loader refuses."""
    if tensor.shape[0] % (3 * n_groups):
        return list(tensor.chunk(3))
    parts = tensor.unflatten(0, (n_groups, 3, -1)).unbind(1)
    return [part.flatten(0, 1).contiguous() for part in parts]
