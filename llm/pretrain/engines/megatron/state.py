"""Converts one rank's parameters and optimizer state to and from canonical pieces.

The optimizer updates its own fp32 tensors: the model's parameters, copies of bf16 ones, or, distributed over the data
ranks, flat parts of either, which begin and end anywhere. Each is cut into rectangles of canonical tensors (names.py),
so nothing has to be gathered. Files are read and written elsewhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod

import torch
from megatron.core import parallel_state
from megatron.core.optimizer.distrib_optimizer import DistributedOptimizer
from megatron.core.optimizer.optimizer import MegatronOptimizer
from megatron.core.transformer import MegatronModule
from megatron.core.utils import unwrap_model

from llm.errors import InputError
from llm.model.config import ModelConfig
from llm.pretrain.engines.megatron.names import Segment, parts, segments
from llm.training.engine import Piece, Read
from llm.training.optimizer import STATE

MOMENTS = tuple(key for key in STATE["adamw"] if key != "step")


@dataclass(frozen=True)
class Held:
    """A parameter of the model. `main`: the fp32 elements from `start` on that this rank's optimizer updates (None if
    it updates none). `owned`: whether this rank writes them into checkpoints."""

    parameter: torch.nn.Parameter
    segments: list[Segment]
    main: torch.Tensor | None
    start: int
    owned: bool

    def pieces(self, tensor: torch.Tensor, name: Callable[[str], str]) -> list[Piece]:
        """Cut a tensor with the elements of `main` into canonical pieces; `name` makes their names."""
        flat, cut = tensor.detach().flatten(), []
        for segment, first, where in parts(self.segments, self.columns, self.start, self.start + flat.numel()):
            extents = [part.stop - part.start for part in where]
            piece = flat[first - self.start :][: prod(extents)].view(extents)
            cut.append(Piece(name(segment.name), segment.shape, tuple(part.start for part in where), piece))
        return cut

    def fill(self, tensor: torch.Tensor, start: int, read: Callable[[str, tuple[slice, ...]], torch.Tensor]) -> None:
        """Write the parameter's elements from `start` on into a contiguous tensor; padding becomes zero."""
        flat = tensor.detach().view(-1).zero_()
        for segment, first, where in parts(self.segments, self.columns, start, start + flat.numel()):
            part = read(segment.name, where)
            flat[first - start :][: part.numel()].copy_(part.flatten())

    @property
    def columns(self) -> int:
        return self.parameter.shape[1] if self.parameter.ndim == 2 else 1


def held_parameters(chunks: list[MegatronModule], optimizer: MegatronOptimizer, config: ModelConfig) -> list[Held]:
    """Return what this rank holds, in the model's order."""
    rank = parallel_state.get_tensor_model_parallel_rank()
    replica = parallel_state.get_data_parallel_rank(with_context_parallel=True)
    flat = flat_parts(optimizer) if isinstance(optimizer, DistributedOptimizer) else None
    found = []
    for chunk in chunks:
        stage = unwrap_model(chunk)
        for name, parameter in stage.named_parameters():
            layer = None
            if name.startswith("decoder.layers."):
                _, _, number, name = name.split(".", 3)
                layer = stage.decoder.layers[int(number)].layer_number - 1
            cut = segments(name, tuple(parameter.shape), layer, rank, config)
            owned = getattr(parameter, "tensor_model_parallel", False) or rank == 0
            owned = owned and not getattr(parameter, "shared", False)  # the tied embedding's copy on the last stage
            if flat is None:
                main = getattr(parameter, "main_param", parameter)
                found.append(Held(parameter, cut, main, 0, owned and replica == 0))
            else:
                main, start = flat.get(parameter, (None, 0))
                found.append(Held(parameter, cut, main, start, owned and main is not None))
    return found


def flat_parts(optimizer: DistributedOptimizer) -> dict[torch.nn.Parameter, tuple[torch.Tensor, int]]:
    """Return parameter -> the flat fp32 part of it that this data rank updates, and the part's first element."""
    models = optimizer.model_fp32_groups + optimizer.model_float16_groups
    mains = optimizer.shard_fp32_groups + optimizer.shard_fp32_from_float16_groups
    return {
        parameter: (main, optimizer._get_model_param_range_map(parameter)["param"].start)
        for group, main_group in zip(models, mains, strict=True)
        for parameter, main in zip(group, main_group, strict=True)
    }


def weight_pieces(held: list[Held]) -> list[Piece]:
    return [piece for item in held if item.owned and item.main is not None for piece in item.pieces(item.main, str)]


def optimizer_pieces(held: list[Held], adamw: torch.optim.AdamW) -> list[Piece]:
    found = []
    for item in held:
        if item.owned and item.main is not None:
            state = adamw.state[item.main]
            for key in MOMENTS:
                found += item.pieces(state[key], partial(moment_name, key))
            for segment in item.segments:  # a tensor has one step: whoever has its first element writes it
                first = segment.row * item.columns - item.start
                if segment.start == (0, 0) and 0 <= first < item.main.numel():
                    found.append(Piece(f"adamw.{segment.name}.step", (), (), state["step"].clone()))
    return found


def load_weights(held: list[Held], read: Read, origin: str) -> None:
    for item in held:
        item.fill(item.parameter, 0, lambda name, where: stored(read, name, where, origin))
        if item.main is not None and item.main.dtype != item.parameter.dtype:  # otherwise they share their memory
            item.fill(item.main, item.start, lambda name, where: stored(read, name, where, origin))


def load_optimizer(held: list[Held], adamw: torch.optim.AdamW, read: Read, origin: str) -> None:
    for item in held:
        if item.main is not None:
            step = stored(read, f"adamw.{item.segments[0].name}.step", None, origin)
            state = {"step": step.to(item.main.device, copy=True)}
            for key in MOMENTS:
                state[key] = torch.empty_like(item.main)
                item.fill(state[key], item.start, partial(stored_moment, read, origin, key))
            adamw.state[item.main] = state


def moment_name(key: str, name: str) -> str:
    """A moment of AdamW, for the canonical tensor `name`."""
    return f"adamw.{name}.{key}"


def stored_moment(read: Read, origin: str, key: str, name: str, where: tuple[slice, ...]) -> torch.Tensor:
    return stored(read, moment_name(key, name), where, origin)


def stored(read: Read, name: str, where: tuple[slice, ...] | None, origin: str) -> torch.Tensor:
    """Return what `read` has there. Raises InputError if it is missing or of another shape."""
    found = read(name, where)
    if found is None or found.shape != tuple(part.stop - part.start for part in where or ()):
        raise InputError(f"{origin}: {name} is missing or of another shape; it belongs to another model or optimizer")
    return found
