"""Lets requests of one batch use different LoRA adapters of one model (Hu et al. 2021; grouped like Punica, Chen et al.
2023): the model's product is made once for all rows, each adapter's for its own rows.

A group's rows are padded to a multiple of 8 like all others, so who else is in the batch changes no byte, and the
arithmetic is that of training (llm/align/lora.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llm.errors import InputError
from llm.inference.row_by_row import padded
from llm.model.plus import plus
from llm.model.transformer import CausalLM


@dataclass(frozen=True)
class Update:
    """What an adapter adds to one layer: scale x A^T B^T, A [r, in], B [out, r]."""

    a: Tensor
    b: Tensor
    scale: float


Adapter = Mapping[str, Update]  # by the layer's dotted name


@dataclass
class Groups:
    """Of the step that is computed: each adapter that has rows, with their numbers padded to a multiple of 8, and how
    many of these count. All adapted layers of a model look here."""

    rows: list[tuple[str, Tensor, int]] = field(default_factory=list)


class AdaptedLinear(nn.Module):
    """A linear layer with the updates of several adapters."""

    def __init__(self, base: nn.Module, updates: Mapping[str, Update], groups: Groups) -> None:
        super().__init__()
        self.base, self.updates, self.groups = base, updates, groups

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's product for the rows of a step, [R, out] or [1, R, out]."""
        x_RD = x if x.ndim == 2 else x[0]
        added_RE = None
        for name, index, n_rows in self.groups.rows:
            update = self.updates.get(name)
            if update is not None:
                added = F.linear(update.scale * F.linear(x_RD[index], update.a), update.b)
                if added_RE is None:
                    added_RE = added.new_zeros((len(x_RD), added.shape[1]))
                added_RE[index[:n_rows]] = added[:n_rows]
        if added_RE is None:
            return self.base(x)
        return plus(self.base, x_RD, added_RE).view(*x.shape[:-1], -1)


def fitted(adapter: Adapter, model: CausalLM) -> Adapter:
    """Return an adapter in the model's dtype. Raises InputError where an update has no layer of its shape."""
    dtype = model.model.embed_tokens.weight.dtype
    modules = model.model.layers.named_modules(prefix="model.layers")
    widths = {name: (layer.in_features, layer.out_features) for name, layer in modules if hasattr(layer, "in_features")}
    for name, update in adapter.items():
        found = tuple(update.a.shape), tuple(update.b.shape)
        if name not in widths:
            raise InputError(f"the model has no linear layer {name}; it was made on another model")
        rank, (n_in, n_out) = update.b.shape[-1], widths[name]
        if found != ((rank, n_in), (n_out, rank)) or not update.a.is_floating_point():
            raise InputError(
                f"{name} of {n_in} inputs and {n_out} outputs has updates of shapes {found} in {update.a.dtype}; "
                "it was made on another model"
            )
    return {name: Update(each.a.to(dtype), each.b.to(dtype), each.scale) for name, each in adapter.items()}


def adapt(model: CausalLM, adapters: Mapping[str, Adapter]) -> Groups:
    """Put AdaptedLinear in the place of every layer of `model` that an adapter has an update for; returns the groups to
    set before each step. Raises InputError for an adapter that does not fit."""
    groups = Groups()
    layers = dict(model.named_modules())
    adapters = {name: fitted(adapter, model) for name, adapter in adapters.items()}
    for name in sorted({name for adapter in adapters.values() for name in adapter}):
        updates = {each: adapter[name] for each, adapter in adapters.items() if name in adapter}
        model.set_submodule(name, AdaptedLinear(layers[name], updates, groups))
    return groups


def grouped(
    names: list[str], spans: list[tuple[int, int]], least: int, device: torch.device
) -> list[tuple[str, Tensor, int]]:
    """Return the rows of each adapter for sequences with these adapters' names ("" for none) and spans of rows. least:
    rows of a group, padded."""
    found: dict[str, list[int]] = {}
    for name, (begin, end) in zip(names, spans, strict=True):
        if name:
            found.setdefault(name, []).extend(range(begin, end))
    rows = []
    for name, index in sorted(found.items()):
        filled = index + [index[0]] * (padded(len(index), least=least) - len(index))
        rows.append((name, torch.tensor(filled, device=device), len(index)))
    return rows
