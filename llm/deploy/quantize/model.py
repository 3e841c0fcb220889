"""Loads a quantized CausalLM with packed weights, and says what its config.json states. llm/model/transformer.py need
not know of it.

The decoder's linear layers are quantized; embeddings, norms and lm_head keep full precision.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from llm.deploy.quantize.bit_packing import BITS, bits_of, quantization_config, unpack
from llm.deploy.quantize.rtn import QuantizedWeight
from llm.errors import InputError
from llm.model import hf_config, tensor_names
from llm.model.config import ModelConfig
from llm.model.directory import CONFIG_NAME, WEIGHTS_NAME, empty_model, load_model, read_config, read_tensors
from llm.model.transformer import CausalLM

PARTS = ("weight_packed", "weight_scale", "weight_shape")


class PackedLinear(nn.Module):
    """y = x W^T + b with W kept as packed integers and scales.

    `keep_dense`: also keep the dequantized W (fast on a CPU, but no memory is saved); otherwise W is made at every
    call.
    """

    bias: torch.Tensor | None
    weight_packed: torch.Tensor
    weight_scale: torch.Tensor
    dense: torch.Tensor | None

    def __init__(
        self,
        packed: torch.Tensor,
        scale: torch.Tensor,
        bias: torch.Tensor | None,
        n_in: int,
        bits: int,
        keep_dense: bool,
    ) -> None:
        super().__init__()
        self.n_in, self.bits = n_in, bits
        self.register_buffer("bias", bias)
        self.register_buffer("weight_packed", packed)
        self.register_buffer("weight_scale", scale)
        self.register_buffer("dense", self.dequantized() if keep_dense else None, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.dequantized() if self.dense is None else self.dense, self.bias)

    def dequantized(self) -> torch.Tensor:
        """Return W, [N, K] in the scale's dtype."""
        q_NK = unpack(self.weight_packed, self.bits, self.n_in)
        return QuantizedWeight(q_NK, self.weight_scale, self.bits).dequantized()


def layers_to_quantize(model: CausalLM) -> dict[str, nn.Linear]:
    """The layers to quantize by their dotted names, in the model's order."""
    modules = model.model.named_modules(prefix="model")
    return {name: module for name, module in modules if isinstance(module, nn.Linear)}


def quantized_config(config: dict, bits: int, group_size: int | None) -> dict:
    """Return the model's config.json with `quantization_config`. Raises InputError for a width that cannot be packed.

    Packed weights belong to nn.Linear layers with our names: where the model's family has other names, config.json
    becomes one that only this repository loads."""
    if bits not in BITS:
        raise InputError(f"quantize: {bits} bits per weight; choose one of {', '.join(map(str, BITS))}")
    if config["model_type"] in tensor_names.NAMES:
        config = hf_config.own(vars(ModelConfig.from_hf(config)))
    return config | {"quantization_config": quantization_config(bits, group_size)}


def load_quantized(directory: Path, *, keep_dense: bool = True, device: torch.device | str = "cpu") -> CausalLM:
    """Return the CausalLM of a quantized directory, its decoder's linear layers PackedLinear, on `device`, in eval
    mode.

    Raises InputError where config.json states another layout or the weights do not fit it.
    """
    directory = Path(directory)
    config = read_config(directory / CONFIG_NAME)
    bits = bits_of(config, str(directory / CONFIG_NAME))
    model = empty_model(ModelConfig.from_hf(config))
    tensors = read_tensors(directory / WEIGHTS_NAME)
    for name, linear in layers_to_quantize(model).items():
        packed, scale, shape = (tensors.pop(f"{name}.{part}", None) for part in PARTS)
        wanted = list(linear.weight.shape)
        if packed is None or scale is None or shape is None or shape.tolist() != wanted:
            raise InputError(f"{directory / WEIGHTS_NAME}: {name} is not packed as {wanted}; quantize the model again")
        model.set_submodule(name, PackedLinear(packed, scale, linear.bias, wanted[1], bits, keep_dense))
    missing, unexpected = model.load_state_dict(tensors, strict=False, assign=True)
    missing = [name for name in missing if name.rsplit(".", 1)[-1] not in PARTS]
    if missing or unexpected:
        raise InputError(
            f"{directory / WEIGHTS_NAME} {'lacks' if missing else 'has an unknown'} {(missing or unexpected)[0]}; "
            "it does not belong to this config.json"
        )
    return model.to(device).eval().requires_grad_(False)


def load_any(directory: Path, device: torch.device | str = "cpu") -> CausalLM:
    """Load a model directory, quantized or not, on `device`."""
    if "quantization_config" in read_config(directory / CONFIG_NAME):
        return load_quantized(directory, device=device)
    return load_model(directory, device=device)
