"""Loads a quantized CausalLM with packed weights, and says what its config.json states. llm/model/transformer.py need
not know of it.

The decoder's linear layers are quantized; embeddings, norms and lm_head keep full precision.
"""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from llm.deploy.quantize import gptq_layout
from llm.deploy.quantize.activations import rounded_inputs
from llm.deploy.quantize.bit_packing import pack, unpack
from llm.deploy.quantize.layout import PACKED, Layout, layout_of
from llm.errors import InputError
from llm.model import hf_config, tensor_names
from llm.model.config import ModelConfig
from llm.model.directory import CONFIG_NAME, WEIGHTS_NAME, empty_model, load_model, read_config, read_tensors
from llm.model.rounding import QuantizedWeight, layers_to_quantize
from llm.model.transformer import CausalLM

PACKED_PARTS = ("weight_packed", "weight_scale", "weight_shape", "weight_zero_point")
PLAIN_PARTS = ("weight", "weight_scale", "input_scale")


class PackedLinear(nn.Module):
    """y = x W^T + b with W kept as packed integers and scales.

    `keep_dense`: also keep the dequantized W (fast on a CPU, but no memory is saved); otherwise W is made at every
    call.
    """

    bias: torch.Tensor | None
    weight_packed: torch.Tensor
    weight_scale: torch.Tensor
    weight_zero_point: torch.Tensor | None
    dense: torch.Tensor | None

    def __init__(
        self,
        packed: torch.Tensor,
        scale: torch.Tensor,
        bias: torch.Tensor | None,
        n_in: int,
        bits: int,
        keep_dense: bool,
        zero_NG: torch.Tensor | None = None,
    ) -> None:
        super().__init__()
        self.in_features, self.out_features, self.bits = n_in, len(packed), bits
        self.register_buffer("bias", bias)
        self.register_buffer("weight_packed", packed)
        self.register_buffer("weight_scale", scale)
        self.register_buffer("weight_zero_point", zero_NG)
        self.register_buffer("dense", self.dequantized() if keep_dense else None, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.dequantized() if self.dense is None else self.dense, self.bias)

    def dequantized(self) -> torch.Tensor:
        """Return W, [N, K] in the scale's dtype."""
        q_NK = unpack(self.weight_packed, self.bits, self.in_features)
        return QuantizedWeight(q_NK, self.weight_scale, self.bits, zero_NG=self.weight_zero_point).dequantized()


class RoundedLinear(nn.Module):
    """y = x' W^T + b, with W whole numbers times scales and x' the inputs on the 8-bit grid (activations.py), computed
    in the scales' dtype."""

    bias: torch.Tensor | None
    weight: torch.Tensor
    weight_scale: torch.Tensor
    input_scale: torch.Tensor | None
    dense: torch.Tensor | None

    def __init__(
        self,
        q_NK: torch.Tensor,
        scale: torch.Tensor,
        input_scale_1: torch.Tensor | None,
        bias: torch.Tensor | None,
        keep_dense: bool,
    ) -> None:
        super().__init__()
        self.out_features, self.in_features = q_NK.shape
        self.register_buffer("bias", bias)
        self.register_buffer("weight", q_NK)
        self.register_buffer("weight_scale", scale)
        self.register_buffer("input_scale", input_scale_1)
        self.register_buffer("dense", self.dequantized() if keep_dense else None, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight_NK = self.dequantized() if self.dense is None else self.dense
        return F.linear(rounded_inputs(x, self.input_scale), weight_NK, self.bias)

    def dequantized(self) -> torch.Tensor:
        """Return W, [N, K] in the scale's dtype."""
        return self.weight * self.weight_scale


def take_packed(
    tensors: dict[str, torch.Tensor], name: str, linear: nn.Linear, layout: Layout, keep_dense: bool
) -> PackedLinear | None:
    """Make a layer of its tensors, which are taken away; None where one is missing or does not fit."""
    packed, scale, shape, zero = (tensors.pop(f"{name}.{part}", None) for part in PACKED_PARTS)
    if packed is None or scale is None or shape is None or shape.tolist() != list(linear.weight.shape):
        return None
    if (zero is None) != layout.symmetric:
        return None
    scale = scale.view(1, 1) if layout.per_tensor else scale
    zero_NG = None if zero is None else unpack(zero.T.contiguous(), layout.bits, len(packed)).T.contiguous()
    return PackedLinear(packed, scale, linear.bias, linear.weight.shape[1], layout.bits, keep_dense, zero_NG)


def take_gptq(
    tensors: dict[str, torch.Tensor], name: str, linear: nn.Linear, layout: Layout, keep_dense: bool
) -> PackedLinear | None:
    """Do the same for GPTQ's own layout."""
    found = gptq_layout.take_weight(tensors, name, linear.weight.shape, layout.bits, layout.symmetric)
    if found is None:
        return None
    packed = pack(found.q_NK, layout.bits)
    n_in = linear.weight.shape[1]
    return PackedLinear(packed, found.scale_NG, linear.bias, n_in, layout.bits, keep_dense, found.zero_NG)


def take_plain(
    tensors: dict[str, torch.Tensor], name: str, linear: nn.Linear, layout: Layout, keep_dense: bool
) -> RoundedLinear | None:
    """Do the same for int-quantized."""
    weight, scale, input_scale_1 = (tensors.pop(f"{name}.{part}", None) for part in PLAIN_PARTS)
    if weight is None or scale is None or weight.shape != linear.weight.shape:
        return None
    if (input_scale_1 is not None) != (layout.activations == "static"):
        return None
    return RoundedLinear(weight, scale, input_scale_1, linear.bias, keep_dense)


def take(layout: Layout) -> Callable[..., PackedLinear | RoundedLinear | None]:
    """Return what makes a layer of a layout's tensors."""
    if layout.quant_method == gptq_layout.QUANT_METHOD:
        return take_gptq
    return take_packed if layout.format == PACKED else take_plain


def quantized_config(config: dict, layout: Layout) -> dict:
    """Return the model's config.json with `quantization_config`.

    Quantized weights belong to nn.Linear layers with our names: where the model's family has other names, config.json
    becomes one that only this repository loads."""
    if config["model_type"] in tensor_names.NAMES:
        config = hf_config.own(vars(ModelConfig.from_hf(config)))
    return config | {"quantization_config": layout.config()}


def load_quantized(directory: Path, *, keep_dense: bool = True, device: torch.device | str = "cpu") -> CausalLM:
    """Return the CausalLM of a quantized directory, its decoder's linear layers PackedLinear or RoundedLinear, on
    `device`, in eval mode.

    Raises InputError where config.json states another layout or the weights do not fit it.
    """
    directory = Path(directory)
    config = read_config(directory / CONFIG_NAME)
    layout = layout_of(config, str(directory / CONFIG_NAME))
    model = empty_model(ModelConfig.from_hf(config))
    tensors = read_tensors(directory / WEIGHTS_NAME)
    for name, linear in layers_to_quantize(model).items():
        if name.rpartition(".")[2] in layout.keep:
            continue
        made = take(layout)(tensors, name, linear, layout, keep_dense)
        if made is None:
            wanted = list(linear.weight.shape)
            raise InputError(f"{directory / WEIGHTS_NAME}: {name} is not packed as {wanted}; quantize the model again")
        model.set_submodule(name, made)
    missing, unexpected = model.load_state_dict(tensors, strict=False, assign=True)
    quantized = [name for name, module in model.named_modules() if isinstance(module, PackedLinear | RoundedLinear)]
    taken = {f"{name}.{part}" for name in quantized for part in (*PACKED_PARTS, *PLAIN_PARTS)}
    missing = [name for name in missing if name not in taken]
    if missing or unexpected:
        raise InputError(
            f"{directory / WEIGHTS_NAME} {'lacks' if missing else 'has an unknown'} {(missing or unexpected)[0]}; "
            "it does not belong to this config.json"
        )
    return model.to(device).eval().requires_grad_(False)


def load_any(directory: Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> CausalLM:
    """Load a model directory, quantized or not, on `device`. dtype: of weights that are not quantized."""
    if "quantization_config" in read_config(directory / CONFIG_NAME):
        return load_quantized(directory, device=device)
    return load_model(directory, dtype, device)
