"""Compressed-tensors' layouts: which tensors stand for a quantized matrix, and the config that says so.

`pack-quantized`, where weights alone are quantized: `<layer>.weight_packed` int32 [N, K bits / 32], `weight_scale`,
`weight_shape` int64 [N, K], and for grids that are not symmetric `weight_zero_point` int32 [N bits / 32, G].
`int-quantized`, where inputs are too: `weight` int8 [N, K], `weight_scale`, and for fixed scales of the inputs
`input_scale` [1]. A weight's scales are [N, G] by group, [N, 1] by channel, [1] for a matrix. Everything else
(embeddings, lm_head, norms) stays as it was. transformers and vLLM read both. gptq_layout.py has another layout.
"""

import re
from dataclasses import dataclass
from typing import Literal

import torch

from llm.deploy.quantize import gptq_layout
from llm.deploy.quantize.bit_packing import pack
from llm.deploy.settings.quantize import Method
from llm.errors import InputError
from llm.model.rounding import QuantizedWeight

BITS = (4, 8)
QUANT_METHOD: Literal["compressed-tensors"] = "compressed-tensors"
PACKED, PLAIN = "pack-quantized", "int-quantized"
JOINED = ({"q_proj", "k_proj", "v_proj"}, {"gate_proj", "up_proj"})  # into one product, by vLLM and by this server
EVERY = {"o_proj", "down_proj"}.union(*JOINED)
KEPT = re.compile(r"re:\.\*\\\.(\w+)\$")  # what `ignore` says of a layer's last name


@dataclass(frozen=True)
class Layout:
    """What config.json states. group_size: None for a scale per channel or per tensor. activations: how the inputs'
    scales come about, per token at each call or once by calibration; None: inputs are not quantized. quant_method:
    whose layout it is. keep: last names of layers that are not quantized."""

    bits: int
    group_size: int | None = None
    per_tensor: bool = False
    activations: Literal["dynamic", "static"] | None = None
    symmetric: bool = True
    quant_method: Literal["compressed-tensors", "gptq"] = QUANT_METHOD
    keep: tuple[str, ...] = ()

    @property
    def format(self) -> str:
        return PACKED if self.activations is None else PLAIN

    def config(self) -> dict:
        """Return config.json's `quantization_config` for weights of every nn.Linear but lm_head and `keep`."""
        if self.quant_method == gptq_layout.QUANT_METHOD:
            return gptq_layout.config(self.bits, self.group_size, self.symmetric)
        strategy = "tensor" if self.per_tensor else "channel" if self.group_size is None else "group"
        inputs = None
        if self.activations is not None:
            dynamic = self.activations == "dynamic"
            inputs = arguments(8, None, "token" if dynamic else "tensor", True, dynamic)
        group = {
            "input_activations": inputs,
            "output_activations": None,
            "targets": ["Linear"],
            "weights": arguments(self.bits, self.group_size, strategy, self.symmetric, dynamic=False),
        }
        return {
            "config_groups": {"group_0": group},
            "format": self.format,
            "global_compression_ratio": None,
            "ignore": ["lm_head", *(rf"re:.*\.{name}$" for name in self.keep)],
            "kv_cache_scheme": None,
            "quant_method": QUANT_METHOD,
            "quantization_status": "compressed",
        }


def arguments(bits: int, group_size: int | None, strategy: str, symmetric: bool, dynamic: bool) -> dict[str, object]:
    return {
        "actorder": None,
        "block_structure": None,
        "dynamic": dynamic,
        "group_size": group_size,
        "num_bits": bits,
        "observer": None if dynamic else "minmax",
        "observer_kwargs": {},
        "strategy": strategy,
        "symmetric": symmetric,
        "type": "int",
    }


def layout_for(method: Method, group_size: int | None) -> Layout:
    """Return a method's layout. Raises InputError for what no layout or no method has."""
    if method.bits not in BITS:
        raise InputError(f"quantize: {method.bits} bits per weight; choose one of {', '.join(map(str, BITS))}")
    whole = method.activations is not None or method.per_tensor
    if whole and (method.bits != 8 or group_size is not None):
        raise InputError("quantize: activations and per_tensor need bits: 8 and group_size: null")
    if method.per_tensor and (method.searched or method.kind == "awq"):
        raise InputError("quantize: per_tensor needs scales: absmax, and another kind than awq")
    if method.smoothing is not None and (method.activations is None or method.kind == "awq"):
        raise InputError("quantize: smoothing needs activations, and another kind than awq, which scales inputs itself")
    if whole and not (method.symmetric and method.format == QUANT_METHOD):
        raise InputError("quantize: activations and per_tensor need symmetric: true and format: compressed-tensors")
    for joined in JOINED:
        if (named := joined & set(method.keep)) and named != joined:
            raise InputError(
                f"quantize: keep names {', '.join(sorted(named))}, but not {', '.join(sorted(joined - named))}, with "
                "which readers join it; name all or none"
            )
    if method.keep and method.format == gptq_layout.QUANT_METHOD:
        raise InputError("quantize: keep needs format: compressed-tensors")
    if set(method.keep) >= EVERY:
        raise InputError("quantize: keep names every layer, so nothing would be quantized")
    return Layout(
        method.bits, group_size, method.per_tensor, method.activations, method.symmetric, method.format, method.keep
    )


def layout_of(config: dict, path: str) -> Layout:
    """Return the layout that a model's config.json states. Raises InputError for another than those above."""
    stated = config.get("quantization_config") or {}
    if stated.get("quant_method") == gptq_layout.QUANT_METHOD:
        bits, group_size, symmetric = gptq_layout.read_config(stated, path)
        return Layout(bits, group_size, symmetric=symmetric, quant_method="gptq")
    group = (stated.get("config_groups") or {}).get("group_0", {})
    weights, inputs = group.get("weights") or {}, group.get("input_activations")
    grids = {PACKED: (True, False), PLAIN: (True,)}.get(stated.get("format", ""), ())  # symmetric or not
    if stated.get("quant_method") != QUANT_METHOD or weights.get("symmetric") not in grids:
        raise InputError(f"{path}: no {PACKED} weights of {QUANT_METHOD}; make them with `quantize`")
    if weights.get("num_bits") not in BITS:
        raise InputError(
            f"{path}: {weights.get('num_bits')} bits per weight; only {' and '.join(map(str, BITS))} can be read"
        )
    found = Layout(
        weights["num_bits"],
        weights.get("group_size"),
        weights.get("strategy") == "tensor",
        None if inputs is None else "dynamic" if inputs.get("dynamic") else "static",
        weights["symmetric"],
        keep=tuple(kept[1] for entry in stated.get("ignore") or () if (kept := KEPT.fullmatch(entry))),
    )
    if found.config()["config_groups"]["group_0"]["input_activations"] != inputs and inputs is not None:
        raise InputError(f"{path}: its inputs are quantized in another way; make them with `quantize`")
    return found


def stored_tensors(name: str, weight: QuantizedWeight, layout: Layout) -> dict[str, torch.Tensor]:
    """Return the tensors that stand for `<name>.weight`."""
    if layout.quant_method == gptq_layout.QUANT_METHOD:
        return gptq_layout.stored_tensors(name, weight)
    scale = weight.scale_NG.flatten() if layout.per_tensor else weight.scale_NG.contiguous()
    if layout.format == PACKED:
        packed = {
            f"{name}.weight_packed": pack(weight.q_NK, weight.bits),
            f"{name}.weight_scale": scale,
            f"{name}.weight_shape": torch.tensor(weight.q_NK.shape, dtype=torch.int64),
        }
        if weight.zero_NG is not None:
            packed[f"{name}.weight_zero_point"] = pack(weight.zero_NG.T, weight.bits).T.contiguous()
        return packed
    found = {f"{name}.weight": weight.q_NK.contiguous(), f"{name}.weight_scale": scale}
    if weight.input_scale_1 is not None:
        found[f"{name}.input_scale"] = weight.input_scale_1.clone()  # of several matrices
    return found
