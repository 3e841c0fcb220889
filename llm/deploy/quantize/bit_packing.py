"""Packs quantized weights in compressed-tensors' `pack-quantized` layout: small integers in int32 words, and the config
that says so.

For each quantized layer: `<layer>.weight_packed` int32 [N, K bits / 32], `weight_scale` [N, G], `weight_shape` int64
[N, K]. A word holds 32 / bits values with 2^(bits-1) added, the first in its lowest bits. Everything else (embeddings,
lm_head, norms) stays as it was. transformers and vLLM read this. The integers are chosen by rtn.py.
"""

import torch

from llm.deploy.quantize.rtn import QuantizedWeight
from llm.errors import InputError

BITS = (4, 8)
QUANT_METHOD = "compressed-tensors"
FORMAT = "pack-quantized"


def pack(q_NK: torch.Tensor, bits: int) -> torch.Tensor:
    """Pack int8 [N, K] as int32 [N, ceil(K bits / 32)]; the last word's unused bits are zero."""
    per_word = 32 // bits
    padding = -q_NK.shape[1] % per_word
    unsigned_NK = torch.nn.functional.pad(q_NK.to(torch.int64) + (1 << (bits - 1)), (0, padding))
    shifts = torch.arange(per_word, device=q_NK.device) * bits
    words = (unsigned_NK.unflatten(1, (-1, per_word)) << shifts).sum(-1)
    return torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)


def unpack(packed_NW: torch.Tensor, bits: int, n_in: int) -> torch.Tensor:
    """Unpack int32 [N, W] to int8 [N, n_in]: the inverse of `pack`."""
    shifts = torch.arange(32 // bits, device=packed_NW.device, dtype=torch.int32) * bits
    unsigned = (packed_NW[..., None] >> shifts) & ((1 << bits) - 1)
    return (unsigned.flatten(1)[:, :n_in] - (1 << (bits - 1))).to(torch.int8)


def packed_tensors(name: str, weight: QuantizedWeight) -> dict[str, torch.Tensor]:
    """Return the tensors that replace `<name>.weight`."""
    return {
        f"{name}.weight_packed": pack(weight.q_NK, weight.bits),
        f"{name}.weight_scale": weight.scale_NG.contiguous(),
        f"{name}.weight_shape": torch.tensor(weight.q_NK.shape, dtype=torch.int64),
    }


def quantization_config(bits: int, group_size: int | None) -> dict:
    """Return config.json's `quantization_config` for symmetric weights of every nn.Linear but lm_head."""
    weights: dict[str, object] = {
        "actorder": None,
        "block_structure": None,
        "dynamic": False,
        "group_size": group_size,
        "num_bits": bits,
        "observer": "minmax",
        "observer_kwargs": {},
        "strategy": "channel" if group_size is None else "group",
        "symmetric": True,
        "type": "int",
    }
    group = {"input_activations": None, "output_activations": None, "targets": ["Linear"], "weights": weights}
    return {
        "config_groups": {"group_0": group},
        "format": FORMAT,
        "global_compression_ratio": None,
        "ignore": ["lm_head"],
        "kv_cache_scheme": None,
        "quant_method": QUANT_METHOD,
        "quantization_status": "compressed",
    }


def bits_of(config: dict, path: str) -> int:
    """Return the bit width that a model's config.json states. Raises InputError for another layout."""
    stated = config.get("quantization_config") or {}
    weights = (stated.get("config_groups") or {}).get("group_0", {}).get("weights") or {}
    bits = weights.get("num_bits")
    if (stated.get("quant_method"), stated.get("format")) != (QUANT_METHOD, FORMAT) or not weights.get("symmetric"):
        raise InputError(f"{path}: no symmetric {FORMAT} weights of {QUANT_METHOD}; make them with `quantize`")
    if bits not in BITS:
        raise InputError(f"{path}: {bits} bits per weight; only {' and '.join(map(str, BITS))} can be read")
    return bits
