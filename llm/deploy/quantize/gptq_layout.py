"""GPTQ's own layout, as AutoGPTQ began and GPTQModel writes it; transformers and vLLM read it.

`<layer>.qweight` int32 [K bits / 32, N], `qzeros` int32 [G, N bits / 32], `scales` fp16 [G, N], `g_idx` int32 [K] (an
input's group). Levels are counted from 0 and packed along the inputs. Its first version, `gptq`, keeps zero points less
one, which a zero point of 0 does not survive: so grids that are not symmetric are of the second, `gptq_v2`.

Legend: N outputs, K inputs, G groups.
"""

import torch

from llm.deploy.quantize.bit_packing import pack, unpack
from llm.errors import InputError
from llm.model.rounding import QuantizedWeight

QUANT_METHOD = "gptq"
PARTS = ("qweight", "qzeros", "scales", "g_idx")
VERSIONS = (("gptq", True), ("gptq_v2", False))  # with symmetric grids, and others
LARGEST, SMALLEST = torch.finfo(torch.float16).max, torch.finfo(torch.float16).tiny


def config(bits: int, group_size: int | None, symmetric: bool) -> dict:
    """Return config.json's `quantization_config`."""
    return {
        "bits": bits,
        "checkpoint_format": "gptq" if symmetric else "gptq_v2",
        "damp_percent": 0.01,
        "desc_act": False,
        "group_size": group_size or -1,
        "lm_head": False,
        "quant_method": QUANT_METHOD,
        "sym": symmetric,
        "true_sequential": True,
    }


def read_config(stated: dict, path: str) -> tuple[int, int | None, bool]:
    """Return bits, group size and whether grids are symmetric. Raises InputError for other layouts."""
    bits, size = stated.get("bits"), stated.get("group_size")
    version, symmetric = stated.get("checkpoint_format", "gptq"), bool(stated.get("sym"))
    if bits not in (4, 8) or not isinstance(size, int) or (version, symmetric) not in VERSIONS or stated.get("lm_head"):
        raise InputError(f"{path}: its kind of {QUANT_METHOD} weights cannot be read; make them with `quantize`")
    return bits, None if size == -1 else size, symmetric


def stored_tensors(name: str, weight: QuantizedWeight) -> dict[str, torch.Tensor]:
    """Return the tensors that stand for `<name>.weight`. Raises InputError for what the layout cannot hold."""
    n_out, n_in = weight.q_NK.shape
    per_word = 32 // weight.bits
    if n_out % per_word or n_in % per_word:
        raise InputError(
            f"quantize: {name} is {n_out} x {n_in}, format gptq packs {per_word} at a time; "
            "choose format: compressed-tensors"
        )
    # pack adds 2^(bits-1), which is what a symmetric grid's zero is here.
    less_one_NG = torch.full_like(weight.scale_NG, -1, dtype=torch.int8)
    stored_NG = less_one_NG if weight.zero_NG is None else weight.zero_NG
    groups = weight.scale_NG.shape[1]
    scale_GN = weight.scale_NG.T
    if not (scale_GN.abs() <= LARGEST).all():
        raise InputError(f"quantize: a scale of {name} is beyond fp16; choose format: compressed-tensors")
    tiny_GN = torch.where(scale_GN < 0, -SMALLEST, SMALLEST)
    return {
        f"{name}.qweight": pack(weight.q_NK, weight.bits).T.contiguous(),
        f"{name}.qzeros": pack(stored_NG.T, weight.bits).contiguous(),
        f"{name}.scales": torch.where(scale_GN.abs() < SMALLEST, tiny_GN, scale_GN).half().contiguous(),
        f"{name}.g_idx": (torch.arange(n_in) // (n_in // groups)).to(torch.int32),
    }


def take_weight(
    tensors: dict[str, torch.Tensor], name: str, shape: torch.Size, bits: int, symmetric: bool
) -> QuantizedWeight | None:
    """Take a matrix [N, K] out of the tensors; None where one is missing or does not fit."""
    qweight, qzeros, scales, g_idx = (tensors.pop(f"{name}.{part}", None) for part in PARTS)
    n_out, n_in = shape
    if qweight is None or qzeros is None or scales is None or g_idx is None:
        return None
    if qweight.shape != (n_in * bits // 32, n_out) or scales.shape[1] != n_out or n_in % scales.shape[0]:
        return None
    groups = torch.arange(n_in) // (n_in // scales.shape[0])
    if not torch.equal(g_idx.long(), groups) or qzeros.shape != (scales.shape[0], n_out * bits // 32):
        return None
    zero_NG = unpack(qzeros, bits, n_out).T.contiguous() + symmetric  # the first version keeps it less one
    q_NK = unpack(qweight.T.contiguous(), bits, n_in)
    return QuantizedWeight(q_NK, scales.T.float().contiguous(), bits, zero_NG=zero_NG if zero_NG.any() else None)
