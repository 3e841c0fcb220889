"""Low-rank adapters (LoRA) around a CausalLM's linear layers: add, switch off, merge, save and load in PEFT's format.

y = x W^T + (alpha / r) x A^T B^T, with A (r, d_in) random and B (d_out, r) zero, so that a fresh adapter changes
nothing (Hu et al. 2021, https://arxiv.org/abs/2106.09685, section 4.1). Layers are replaced from outside, so the
model's own file need not know of adapters. An adapter with rank patterns, DoRA or trained biases is refused.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy  # noqa: F401 (safetensors.torch writes through it, and says so in an extra alone)
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from llm.align.settings.adapter import LoraConfig
from llm.errors import InputError
from llm.io.json import write_json
from llm.io.json_object import read_object
from llm.model.directory import read_tensors
from llm.model.on_grid import GridLinear
from llm.model.plus import plus

PREFIX = "base_model.model."
CONFIG_NAME = "adapter_config.json"
WEIGHTS_NAME = "adapter_model.safetensors"
MOST_RANK = 2**16
UNSUPPORTED = (
    "rank_pattern",
    "alpha_pattern",
    "use_dora",
    "fan_in_fan_out",
    "lora_bias",
    "layers_to_transform",
    "trainable_token_indices",
    "target_parameters",
    "exclude_modules",
    "layer_replication",
    "alora_invocation_tokens",
    "use_qalora",
)


class LoraLinear(nn.Module):
    """A frozen nn.Linear plus a low-rank update; `enabled` switches the update on and off. Where the layer computes on
    a grid, the sum of both stands on it, as it will when they are merged and quantized."""

    def __init__(self, base: nn.Linear, config: LoraConfig) -> None:
        super().__init__()
        r = config.r
        self.base = base
        self.scale = scale_of(config)
        self.enabled = True
        self.lora_A = nn.Parameter(base.weight.new_zeros(r, base.in_features))
        self.lora_B = nn.Parameter(base.weight.new_zeros(base.out_features, r))

    def forward(self, x: Tensor) -> Tensor:
        if self.enabled and isinstance(self.base, GridLinear):
            return F.linear(x, self.base.on_grid(self.merged()), self.base.bias)
        if not self.enabled:
            return self.base(x)
        return plus(self.base, x, F.linear(self.scale * F.linear(x, self.lora_A), self.lora_B))

    def merged(self) -> Tensor:
        """Return W + scale B A, in W's dtype."""
        with torch.autocast(self.lora_A.device.type, enabled=False):
            update = self.lora_B.double() @ self.lora_A.double() * self.scale
        return (self.base.weight.double() + update).to(self.base.weight.dtype)


def scale_of(config: LoraConfig) -> float:
    """Return by what an adapter's product is multiplied: alpha / r, or alpha / sqrt(r) (Kalajdzievski 2023)."""
    return config.alpha / (math.sqrt(config.r) if config.rslora else config.r)


def add_lora(model: nn.Module, config: LoraConfig, seed: int) -> None:
    """Freeze `model` and wrap its target layers in place; their new parameters alone are trained.

    A is drawn from `seed` as PEFT draws it (Kaiming uniform with a = sqrt(5), hence U(-1/sqrt(d_in), 1/sqrt(d_in))).
    Raises InputError where r, alpha or a name in target_modules does not fit the model.
    """
    if config.r < 1 or config.alpha <= 0:
        raise InputError(f"LoRA needs r >= 1 and alpha > 0, not r={config.r} and alpha={config.alpha}: see align.lora")
    model.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for name in target_names(model, config.target_modules):
        wrap(model, name, config, generator)


def target_names(model: nn.Module, target_modules: tuple[str, ...]) -> list[str]:
    """Return the dotted names of the nn.Linear layers whose last name is in `target_modules`, in the model's order."""
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    known = {name.rsplit(".", 1)[-1] for name in linear}
    unknown = sorted(set(target_modules) - known)
    if unknown or not target_modules:
        raise InputError(
            f"LoRA target_modules {unknown or 'is empty'}: no such linear layer in the model; "
            f"choose among {', '.join(sorted(known))}"
        )
    return [name for name in linear if name.rsplit(".", 1)[-1] in target_modules]


def wrap(model: nn.Module, name: str, config: LoraConfig, generator: torch.Generator) -> None:
    """Replace the layer `name` of `model` by a LoraLinear."""
    base = model.get_submodule(name)
    assert isinstance(base, nn.Linear), name
    layer = LoraLinear(base, config)
    bound = base.in_features**-0.5
    values = torch.rand(config.r, base.in_features, generator=generator) * (2 * bound) - bound
    layer.lora_A.data.copy_(values)
    replace(model, name, layer)


def replace(model: nn.Module, name: str, module: nn.Module) -> None:
    """Replace the submodule `name` by `module`."""
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, module)


def lora_layers(model: nn.Module) -> dict[str, LoraLinear]:
    """Return every LoraLinear of `model` by its dotted name, in the model's order."""
    return {name: module for name, module in model.named_modules() if isinstance(module, LoraLinear)}


@contextmanager
def adapter_off(model: nn.Module) -> Iterator[None]:
    """Switch the adapter off in a context, in which `model` is DPO's reference policy."""
    layers = list(lora_layers(model).values())
    for layer in layers:
        layer.enabled = False
    try:
        yield
    finally:
        for layer in layers:
            layer.enabled = True


@torch.no_grad()
def merge_lora(model: nn.Module) -> None:
    """Add every update to its weight, W + scale B A, and put the plain linear layers back."""
    for name, layer in lora_layers(model).items():
        layer.base.weight.copy_(layer.merged())
        replace(model, name, layer.base)


def save_adapter(
    weights: dict[str, Tensor],
    config: LoraConfig,
    directory: Path,
    *,
    base: str,
    task_type: str = "CAUSAL_LM",
    revision: str | None = None,
) -> None:
    """Write adapter_config.json and adapter_model.safetensors as PEFT reads them.

    weights: all that was trained, by the model's names; what is no part of an adapter ("score.weight") is a whole
    weight of a new module, declared in modules_to_save. base: base_model_name_or_path, relative to the adapter.
    task_type: CAUSAL_LM or SEQ_CLS. revision: of the base, llm/align/identity.py; None: it is not said.
    """
    tensors = {
        name + (".weight" if ".lora_" in name else ""): weight.detach().float().contiguous()
        for name, weight in weights.items()
    }
    written = {
        "base_model_name_or_path": base,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "lora_alpha": config.alpha,
        "lora_dropout": 0.0,
        "modules_to_save": sorted({name.split(".")[0] for name in weights if ".lora_" not in name}) or None,
        "peft_type": "LORA",
        "r": config.r,
        **({"revision": revision} if revision else {}),
        **({"use_rslora": True} if config.rslora else {}),
        "target_modules": sorted(config.target_modules),
        "task_type": task_type,
    }
    save_file({PREFIX + name: tensors[name] for name in sorted(tensors)}, directory / WEIGHTS_NAME, {"format": "pt"})
    write_json(directory / CONFIG_NAME, written)


def load_adapter(model: nn.Module, directory: Path) -> dict[str, Tensor]:
    """Wrap `model` with the adapter in `directory` (PEFT's format); return its other weights by name ("score.weight").

    Raises InputError where a file is missing, the adapter uses what this file does not do, or shapes disagree.
    """
    config = read_adapter_config(directory)
    path = directory / WEIGHTS_NAME
    if not path.is_file():
        raise InputError(f"{path} is missing: an adapter directory holds {CONFIG_NAME} and {WEIGHTS_NAME}")
    tensors = {name.removeprefix(PREFIX): tensor for name, tensor in read_tensors(path).items()}
    ranks = {len(tensor) for name, tensor in tensors.items() if name.endswith(".lora_A.weight") and tensor.ndim}
    if ranks - {config.r}:
        raise InputError(f"{path}: rank {max(ranks - {config.r})}, but r={config.r} in {CONFIG_NAME}; copy both again")
    add_lora(model, config, seed=0)
    for name, layer in lora_layers(model).items():
        for part in ("lora_A", "lora_B"):
            fill(getattr(layer, part), tensors.pop(f"{name}.{part}.weight", None), f"{name}.{part}.weight", path)
    stray = sorted(name for name in tensors if ".lora_" in name)
    if stray:
        raise InputError(f"{path}: {stray[0]} has no layer in this model: is it the base that the adapter was made on?")
    return tensors


def read_adapter_config(directory: Path) -> LoraConfig:
    """Return the adapter's r, alpha and target_modules. Raises InputError if it is not plain LoRA."""
    path, values = directory / CONFIG_NAME, config_values(directory)
    used = [key for key in UNSUPPORTED if values.get(key)] + ["bias"] * (values.get("bias", "none") != "none")
    if values.get("peft_type") != "LORA" or used or not isinstance(values.get("target_modules"), list):
        raise InputError(f"{path}: only plain LoRA with a list of target_modules can be read, not {used or values}")
    rank, alpha, modules = values.get("r"), values.get("lora_alpha"), tuple(values["target_modules"])
    said = f"r {rank!r}, lora_alpha {alpha!r}"
    named = all(isinstance(module, str) for module in modules)
    if isinstance(rank, bool) or not isinstance(rank, int) or not 1 <= rank <= MOST_RANK:
        rank = None
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not math.isfinite(alpha):
        alpha = None
    if rank is None or alpha is None or not named:
        raise InputError(f"{path}: {said} or target_modules are no LoRA's; copy it again")
    return LoraConfig(rank, alpha, modules, bool(values.get("use_rslora")))


def config_values(directory: Path) -> dict:
    """Return what adapter_config.json says. Raises InputError if there is none."""
    return read_object(directory / CONFIG_NAME, f"an adapter directory holds {CONFIG_NAME} and {WEIGHTS_NAME}")


def base_of(directory: Path) -> str | None:
    """Return the name of the model that an adapter was made on."""
    return config_values(directory).get("base_model_name_or_path")


@torch.no_grad()
def fill(parameter: nn.Parameter, tensor: Tensor | None, name: str, path: Path) -> None:
    """Copy `tensor` into `parameter`. Raises InputError if it is missing, of another shape, or has no finite floats."""
    if tensor is None or tensor.shape != parameter.shape:
        found = "nothing" if tensor is None else tuple(tensor.shape)
        raise InputError(
            f"{path}: {name} should be {tuple(parameter.shape)}, found {found}: was the adapter made on another model?"
        )
    if not tensor.is_floating_point() or not tensor.float().isfinite().all():
        raise InputError(
            f"{path}: {name} is {tensor.dtype}, or holds what is no finite number; train the adapter again"
        )
    parameter.copy_(tensor)
