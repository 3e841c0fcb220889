"""Quantizes a model one layer after the other, in the memory of one layer, its Hessians and the calibration's hidden
states. What is done is kept in `scratch`, so that an interrupted run goes on from there, to the same bytes.

Each group of matrices sees the inputs that the groups before it give once they are quantized ("true sequential").

Legend: C calibration sequences, T their tokens, D d_model; M = C T positions; N outputs, K inputs of a matrix.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from llm.deploy.quantize.awq import input_factors
from llm.deploy.quantize.bit_packing import packed_tensors
from llm.deploy.quantize.gptq import gptq
from llm.deploy.quantize.hessian import product_error, shrunk
from llm.deploy.quantize.lazy_weights import LazyWeights
from llm.deploy.quantize.rtn import QuantizedWeight, quantize_weight, rounded, weight_error
from llm.deploy.quantize.scales import searched_scales
from llm.deploy.settings.quantize import Method
from llm.errors import InputError
from llm.model.directory import empty_model
from llm.model.positions import alibi_bias, rotary_tables
from llm.model.transformer import Decoder, Layer
from llm.progress import progress

Errors = dict[str, dict[str, float]]
ROWS = 4  # sequences that go through a layer at once

Made = dict[str, tuple[QuantizedWeight, dict[str, float]]]
QKV, OUTPUT, DOWN = ["q_proj", "k_proj", "v_proj"], ["o_proj"], ["down_proj"]


def quantize_layers(
    source: LazyWeights, method: Method, size: int | None, calibration_CT: torch.Tensor | None, scratch: Path
) -> tuple[list[Path], Errors]:
    """Quantize every linear layer of the decoder. calibration_CT: int64 tokens; may be None where the method needs
    none. size: of a group. Returns a safetensors file for each layer, with our names, and the errors by matrix."""
    scratch.mkdir(parents=True, exist_ok=True)
    errors: Errors = {}
    files = [scratch / f"layer-{index:05}.safetensors" for index in range(source.config.n_layers)]
    done = next((index for index, file in enumerate(files) if not file.is_file()), len(files))
    run = Calibration(source, calibration_CT) if method.calibrated else None
    if run and done:
        run.load(scratch / "hidden.safetensors", done)
    for index, file in enumerate(files):
        if index >= done:
            layer = filled_layer(source, index)
            found = quantize_layer(layer, method, size, run)
            if run:
                run.save(scratch / "hidden.safetensors", index + 1)
            write_layer(file, index, layer, found)
            progress(f"layer {index + 1}/{len(files)}")
        errors |= read_errors(file)
    return files, errors


class Calibration:
    """The calibration's hidden states before a layer, and what a layer needs beside them."""

    def __init__(self, source: LazyWeights, tokens_CT: torch.Tensor | None) -> None:
        if tokens_CT is None:
            raise InputError("quantize: this method needs a calibration set; give --calibration")
        model = empty_model(source.config)
        model.load_state_dict(source.outside(), strict=False, assign=True)
        decoder: Decoder = model.model
        length = tokens_CT.shape[1]
        self.position_1T = torch.arange(length)[None]
        with torch.no_grad():
            self.x_CTD = decoder.embed(tokens_CT, self.position_1T, length)
            rope = source.config.position == "rope"
            self.rotary = rotary_tables(self.position_1T, source.config, length) if rope else None
            alibi = source.config.position == "alibi"
            self.mask = alibi_bias(self.position_1T, length, source.config.n_heads) if alibi else None

    def map(self, function: Callable[[torch.Tensor], torch.Tensor], x_CTD: torch.Tensor) -> torch.Tensor:
        """Apply a function to a few sequences at a time."""
        with torch.no_grad():
            return torch.cat([function(x_RTD) for x_RTD in x_CTD.split(ROWS)])

    def attend(self, layer: Layer, x_RTD: torch.Tensor) -> torch.Tensor:
        return layer.self_attn(x_RTD, self.rotary, self.mask, None)

    def save(self, path: Path, layers: int) -> None:
        """Keep the states before layer `layers`, at once or not at all."""
        part = path.with_suffix(".part")
        save_file({"x_CTD": self.x_CTD.contiguous()}, part, metadata={"layers": str(layers)})
        part.rename(path)

    def load(self, path: Path, layers: int) -> None:
        with safe_open(path, "pt") as file:
            kept = int(file.metadata()["layers"])
            if kept != layers:
                raise InputError(f"{path}: states before layer {kept}, {layers} layers are done; delete the directory")
            self.x_CTD = file.get_tensor("x_CTD")


def filled_layer(source: LazyWeights, index: int) -> Layer:
    with torch.device("meta"):
        layer = Layer(source.config, index)
    tensors = source.block(index)
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise InputError(f"layer {index}: {name} is not finite: the model diverged; quantize an earlier checkpoint")
    layer.load_state_dict(tensors, assign=True)
    return layer.requires_grad_(False)


def quantize_layer(layer: Layer, method: Method, size: int | None, run: Calibration | None) -> Made:
    """Quantize a layer's matrices, and leave the rounded weights in it; the calibration moves behind it. Returns
    name -> (weight, errors)."""
    attention, mlp, made = layer.self_attn, layer.mlp, Made()
    into_ffn = [name for name in ("gate_proj", "up_proj") if hasattr(mlp, name)]
    if run is None:
        for part, names in (("self_attn", QKV), ("self_attn", OUTPUT), ("mlp", into_ffn), ("mlp", DOWN)):
            made |= quantize_group(layer, part, names, method, size, None, None)
        return made

    def normed(norm: nn.Module, x_CTD: torch.Tensor) -> torch.Tensor:
        return x_CTD if layer.post else run.map(norm, x_CTD)

    def heads(inputs_CTD: torch.Tensor) -> torch.Tensor:
        with without(attention, "o_proj"):
            return run.map(lambda x_RTD: run.attend(layer, x_RTD), inputs_CTD)

    def inner(inputs_CTD: torch.Tensor) -> torch.Tensor:
        with without(mlp, "down_proj"):
            return run.map(mlp, inputs_CTD)

    # Factors fold into a norm that stands before, and into rows of v or up where each of them makes one input.
    by_head = attention.v_proj.weight.shape[0] == attention.o_proj.weight.shape[1]
    fold_v = fold_rows(attention.v_proj, made, "self_attn.v_proj") if by_head else None
    fold_up = fold_rows(mlp.up_proj, made, "mlp.up_proj") if "gate_proj" in into_ffn else None
    fold_one = None if layer.post else fold_norm(layer.input_layernorm)
    fold_two = None if layer.post else fold_norm(layer.post_attention_layernorm)
    x_CTD = run.x_CTD
    made |= quantize_group(layer, "self_attn", QKV, method, size, normed(layer.input_layernorm, x_CTD), fold_one)
    before = normed(layer.input_layernorm, x_CTD)
    made |= quantize_group(layer, "self_attn", OUTPUT, method, size, heads(before), fold_v)
    x_CTD = x_CTD + run.map(lambda x_RTD: run.attend(layer, x_RTD), before)
    x_CTD = run.map(layer.input_layernorm, x_CTD) if layer.post else x_CTD
    into = normed(layer.post_attention_layernorm, x_CTD)
    made |= quantize_group(layer, "mlp", into_ffn, method, size, into, fold_two)
    into = normed(layer.post_attention_layernorm, x_CTD)
    made |= quantize_group(layer, "mlp", DOWN, method, size, inner(into), fold_up)
    x_CTD = x_CTD + run.map(mlp, into)
    run.x_CTD = run.map(layer.post_attention_layernorm, x_CTD) if layer.post else x_CTD
    return made


@contextmanager
def without(module: nn.Module, name: str) -> Iterator[None]:
    """Leave a module's last product out for a while, so that its inputs come out."""
    kept = getattr(module, name)
    setattr(module, name, nn.Identity())
    try:
        yield
    finally:
        setattr(module, name, kept)


def quantize_group(
    layer: Layer,
    part: str,
    names: list[str],
    method: Method,
    size: int | None,
    inputs: torch.Tensor | None,
    fold: Callable[[torch.Tensor], None] | None,
) -> Made:
    """Quantize matrices that share their inputs [C, T, K]. fold: divides by factors what makes the inputs, where they
    may be scaled."""
    linears = {name: getattr(getattr(layer, part), name) for name in names}
    h_KK = None
    if inputs is not None:
        x_MK = inputs.flatten(0, 1)
        h_KK = x_MK.T @ x_MK
        if method.kind == "awq" and fold is not None:
            weights, believed_KK = [linear.weight for linear in linears.values()], shrunk(h_KK, method.shrinkage)
            size_K = x_MK.abs().mean(0)
            factor_K = input_factors(weights, believed_KK, size_K, lambda w, h: by_scales(w, method, size, h))
            fold(factor_K)
            h_KK = h_KK / factor_K[:, None] / factor_K
            for linear in linears.values():
                linear.weight = nn.Parameter(linear.weight * factor_K, requires_grad=False)
    made = Made()
    for name, linear in linears.items():
        weight = linear.weight
        quantized = quantize_one(weight, method, size, h_KK)
        made[f"{part}.{name}"] = quantized, measured(weight, quantized, h_KK)
        linear.weight = nn.Parameter(quantized.dequantized(), requires_grad=False)
    return made


def quantize_one(
    weight_NK: torch.Tensor, method: Method, size: int | None, h_KK: torch.Tensor | None
) -> QuantizedWeight:
    nearest = by_scales(weight_NK, method, size, None if h_KK is None else h_KK.diagonal())
    if method.kind != "gptq" or h_KK is None:
        return nearest
    return gptq(
        weight_NK,
        shrunk(h_KK, method.shrinkage),
        nearest.scale_NG,
        method.bits,
        act_order=method.act_order,
        damping=method.damping,
        first_order=method.first_order,
    )


def by_scales(
    weight_NK: torch.Tensor, method: Method, size: int | None, importance_K: torch.Tensor | None
) -> QuantizedWeight:
    """Round a matrix to nearest, with scales of the method's kind."""
    if not method.searched:
        return quantize_weight(weight_NK, method.bits, size)
    return rounded(weight_NK, searched_scales(weight_NK, method.bits, size, importance_K), method.bits)


def measured(weight_NK: torch.Tensor, quantized: QuantizedWeight, h_KK: torch.Tensor | None) -> dict[str, float]:
    """Return the errors of a matrix; `output`: of its products with the calibration's inputs, relative and squared."""
    errors = weight_error(weight_NK, quantized)
    if h_KK is not None:
        whole = product_error(weight_NK, h_KK)
        errors["output"] = product_error(quantized.dequantized() - weight_NK, h_KK) / max(whole, 1e-30)
    return errors


def fold_norm(norm: nn.Module | None) -> Callable[[torch.Tensor], None] | None:
    """Make a function that divides a norm's output by factors."""
    if norm is None:
        return None

    def fold(factor_K: torch.Tensor) -> None:
        for parameter in norm.parameters():
            parameter.data = parameter.data / factor_K

    return fold


def fold_rows(linear: nn.Linear, made: Made, name: str) -> Callable[[torch.Tensor], None]:
    """Make a function that divides the outputs of a quantized linear layer by factors: its scales are a row's."""

    def fold(factor_K: torch.Tensor) -> None:
        quantized, errors = made[name]
        scaled = QuantizedWeight(quantized.q_NK, quantized.scale_NG / factor_K[:, None], quantized.bits)
        made[name] = scaled, errors
        linear.weight = nn.Parameter(scaled.dequantized(), requires_grad=False)
        if linear.bias is not None:
            linear.bias = nn.Parameter(linear.bias / factor_K, requires_grad=False)

    return fold


def write_layer(path: Path, index: int, layer: Layer, made: Made) -> None:
    """Write a layer's tensors, its matrices packed, under their names in the model; the errors stand in the header."""
    prefix = f"model.layers.{index}"
    tensors = {
        f"{prefix}.{name}": tensor.contiguous()
        for name, tensor in layer.state_dict().items()
        if name.removesuffix(".weight") not in made
    }
    for name, (weight, _) in made.items():
        tensors |= packed_tensors(f"{prefix}.{name}", weight)
    errors = {f"{prefix}.{name}": error for name, (_, error) in made.items()}
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata={"errors": json.dumps(errors)})
    part.rename(path)


def read_errors(path: Path) -> Errors:
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["errors"])


def packed_sizes(files: list[Path]) -> tuple[int, int]:
    """Return the bytes of all quantized matrices in fp32, and packed with their scales."""
    before = after = 0
    for file in files:
        for name, tensor in load_file(file).items():
            if name.endswith(".weight_shape"):
                before += 4 * int(tensor.prod())
            elif name.endswith((".weight_packed", ".weight_scale")):
                after += tensor.nbytes
    return before, after


def read_layers(files: list[Path]) -> Iterator[dict[str, torch.Tensor]]:
    """Yield the tensors of one layer after the other."""
    for file in files:
        yield load_file(file)
