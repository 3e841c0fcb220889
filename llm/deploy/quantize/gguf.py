"""Writes a quantized model directory as a GGUF file that holds the same levels: nothing is quantized a second time.

GGUF's blocks have 32 inputs and an fp16 scale: q4_0 is (level - 8) d, of either sign of d, q4_1 is level d + m, q8_0
is level d. So groups of 32, or of a multiple, are blocks with one scale several times. Matrices outside the layers are
f16.

Legend: N outputs, K inputs, B = K / 32 blocks.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from gguf.constants import GGMLQuantizationType as Type
from gguf.constants import LlamaFileType

from llm.deploy.quantize.bit_packing import unpack
from llm.deploy.quantize.model import PACKED_PARTS, PackedLinear, load_quantized
from llm.errors import InputError
from llm.package.gguf.tensors import to_gguf
from llm.package.gguf.write import BLOCK, architecture_of, begun, finish, scaled_frequencies, type_of

FILE_TYPES = {
    Type.Q4_0: LlamaFileType.MOSTLY_Q4_0,
    Type.Q4_1: LlamaFileType.MOSTLY_Q4_1,
    Type.Q8_0: LlamaFileType.MOSTLY_Q8_0,
}
Values = dict[str, torch.Tensor]


def write_packed_gguf(directory: Path, path: Path, name: str) -> dict[str, int]:
    """Write the quantized model of a directory to `path`; return how many tensors have each type. Raises InputError for
    grids that GGUF does not have."""
    model = load_quantized(directory, keep_dense=False)
    config, architecture = model.config, architecture_of(model.config)
    layers = {key: module for key, module in model.named_modules() if isinstance(module, PackedLinear)}
    if not layers:
        raise InputError(f"gguf: {directory} rounds inputs, too, which GGUF cannot state; export its model as q8_0")
    kind = block_type(next(iter(layers.values())), directory)

    def translated(value: Callable[[PackedLinear], torch.Tensor]) -> Values:
        return to_gguf(architecture, config, {f"{key}.weight": value(module) for key, module in layers.items()})

    q_NK = translated(lambda layer: unpack(layer.weight_packed, layer.bits, layer.in_features))
    scale_NB = translated(lambda layer: by_blocks(layer, layer.weight_scale))
    zero_NB = translated(lambda layer: by_blocks(layer, zero_points(layer)))
    parts = {f"{key}.{part}" for key in layers for part in PACKED_PARTS}
    others = {key: tensor for key, tensor in model.state_dict().items() if key not in parts}
    writer = begun(directory, path, config, FILE_TYPES[kind], name)
    counts = {kind.name: len(q_NK)}
    for key, tensor in (to_gguf(architecture, config, others) | scaled_frequencies(config)).items():
        chosen = type_of(key, tensor, "f16")
        counts[chosen.name] = counts.get(chosen.name, 0) + 1
        writer.add_tensor(key, tensor.numpy().astype(np.float16 if chosen == Type.F16 else np.float32))
    for key, levels_NK in q_NK.items():
        writer.add_tensor(key, blocks(kind, levels_NK, scale_NB[key], zero_NB[key]), raw_dtype=kind)
    finish(writer)
    return counts


def block_type(layer: PackedLinear, directory: Path) -> Type:
    """Return the type of a layer's blocks, which is that of all. Raises InputError where there is none."""
    size = layer.in_features // layer.weight_scale.shape[1]
    if layer.in_features % BLOCK or size % BLOCK:
        raise InputError(f"gguf: {directory} has groups of {size}; GGUF has blocks of {BLOCK}: choose a multiple")
    zeros = layer.weight_zero_point is not None
    if layer.bits == 8 and zeros:
        raise InputError(f"gguf: {directory} has 8 bits with zero points, which GGUF has not; choose symmetric: true")
    return Type.Q8_0 if layer.bits == 8 else Type.Q4_1 if zeros else Type.Q4_0


def zero_points(layer: PackedLinear) -> torch.Tensor:
    zero_NG = layer.weight_zero_point
    return torch.zeros_like(layer.weight_scale) if zero_NG is None else zero_NG.to(layer.weight_scale.dtype)


def by_blocks(layer: PackedLinear, value_NG: torch.Tensor) -> torch.Tensor:
    """Repeat a group's value for its blocks, [N, B]."""
    count = layer.in_features // BLOCK
    return value_NG.expand(layer.out_features, -1).repeat_interleave(count // value_NG.shape[1], dim=1)


def blocks(kind: Type, q_NK: torch.Tensor, scale_NB: torch.Tensor, zero_NB: torch.Tensor) -> np.ndarray:
    """Return a matrix's blocks, uint8 [N, B times a block's bytes], as ggml lays them out."""
    q_NBS = q_NK.numpy().reshape(len(q_NK), -1, BLOCK)
    head = [halves(scale_NB)]
    if kind == Type.Q8_0:
        return np.concatenate([*head, q_NBS.view(np.uint8)], -1).reshape(len(q_NK), -1)
    if kind == Type.Q4_1:
        head.append(halves(-scale_NB * (zero_NB + 8)))
    levels_NBS = (q_NBS + 8).astype(np.uint8)
    pairs = levels_NBS[..., :16] | levels_NBS[..., 16:] << 4
    return np.concatenate([*head, pairs], -1).reshape(len(q_NK), -1)


def halves(value_NB: torch.Tensor) -> np.ndarray:
    """Return the two bytes of each value in fp16, [N, B, 2]."""
    return value_NB.half().contiguous().numpy()[..., None].view(np.uint8)
