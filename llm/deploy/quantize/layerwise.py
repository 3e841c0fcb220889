"""Quantizes a model one layer after the other, in the memory of one layer, its Hessians and the calibration's hidden
states. What is done is kept in `scratch`, so that an interrupted run goes on from there, to the same bytes.

Each group of matrices sees the inputs that the groups before it give once they are quantized ("true sequential").

Legend: C calibration sequences, T their tokens, D d_model; M = C T positions; N outputs, K inputs of a matrix.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from llm.deploy.quantize.fold import Made, into_norm, into_rows
from llm.deploy.quantize.group import quantize_group, release
from llm.deploy.quantize.hessian import fast_products
from llm.deploy.quantize.layout import Layout, stored_tensors
from llm.deploy.quantize.lazy_weights import LazyWeights
from llm.deploy.settings.quantize import Method
from llm.errors import InputError
from llm.model.directory import empty_model
from llm.model.positions import alibi_bias, rotary_tables
from llm.model.transformer import Decoder, Layer
from llm.progress import progress

Errors = dict[str, dict[str, float]]
ROWS = 4  # sequences that go through a layer at once
POSITIONS = 2048  # or so many positions, if these are more sequences

QKV, OUTPUT, DOWN = ["q_proj", "k_proj", "v_proj"], ["o_proj"], ["down_proj"]


def quantize_layers(
    source: LazyWeights, method: Method, layout: Layout, calibration_CT: torch.Tensor | None, scratch: Path
) -> tuple[list[Path], Errors]:
    """Quantize every linear layer of the decoder. calibration_CT: int64 tokens; may be None where the method needs
    none. layout: of the files. Returns a safetensors file for each layer, with our names, and the errors by matrix."""
    scratch.mkdir(parents=True, exist_ok=True)
    errors: Errors = {}
    files = [scratch / f"layer-{index:05}.safetensors" for index in range(source.config.n_layers)]
    done = next((index for index, file in enumerate(files) if not file.is_file()), len(files))
    run = Calibration(source, calibration_CT, method.half) if method.calibrated else None
    if run and done:
        run.load(scratch / "hidden.safetensors", done)
    for index, file in enumerate(files):
        if index >= done:
            layer = filled_layer(source, index)
            # Not where the bytes of rounding to nearest would change.
            with nullcontext() if method.kind == "rtn" else fast_products():
                found = quantize_layer(layer, method, layout.group_size, run)
            if run:
                run.save(scratch / "hidden.safetensors", index + 1)
            write_layer(file, index, layer, found, layout)
            del layer, found
            progress(f"layer {index + 1}/{len(files)}")
        errors |= read_made(file)["errors"]
    return files, errors


class Calibration:
    """The calibration's hidden states before a layer, and what a layer needs beside them. half: products are in bf16;
    what is added up stays in fp32."""

    def __init__(self, source: LazyWeights, tokens_CT: torch.Tensor | None, half: bool) -> None:
        if tokens_CT is None:
            raise InputError("quantize: this method needs a calibration set; give --calibration")
        model = empty_model(source.config)
        model.load_state_dict(dict(source.outside("embed")), strict=False, assign=True)
        decoder: Decoder = model.model
        self.half, length = half, tokens_CT.shape[1]
        self.position_1T = torch.arange(length)[None]
        with torch.no_grad():
            self.x_CTD = decoder.embed(tokens_CT, self.position_1T, length)
            rope = source.config.position == "rope"
            self.rotary = rotary_tables(self.position_1T, source.config, length) if rope else None
            alibi = source.config.position == "alibi"
            self.mask = alibi_bias(self.position_1T, length, source.config.n_heads) if alibi else None

    def map(self, function: Callable[[torch.Tensor], torch.Tensor], x_CTD: torch.Tensor) -> torch.Tensor:
        """Apply a function to a few sequences at a time."""
        rows = max(ROWS, POSITIONS // x_CTD.shape[1]) if self.half else ROWS
        with torch.no_grad(), torch.autocast(x_CTD.device.type, torch.bfloat16, enabled=self.half):
            return torch.cat([function(x_RTD) for x_RTD in x_CTD.split(rows)])

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
    """Return a layer, its matrices as they are stored, until their turn comes."""
    with torch.device("meta"):
        layer = Layer(source.config, index)
    tensors, wanted = source.block(index), layer.state_dict()
    for name in sorted(wanted.keys() | tensors.keys()):
        if name not in tensors or name not in wanted or tensors[name].shape != wanted[name].shape:
            raise InputError(f"layer {index}: {name} is missing or of another shape than config.json says")
    layer.load_state_dict(
        {name: tensor if tensor.ndim == 2 else tensor.float() for name, tensor in tensors.items()}, assign=True
    )
    return layer.requires_grad_(False)


def quantize_layer(layer: Layer, method: Method, size: int | None, run: Calibration | None) -> Made:
    """Quantize a layer's matrices, and let go of each when the calibration is behind it. Returns
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

    def done(part: nn.Module, *names: str) -> None:
        release(*(getattr(part, name) for name in names if name not in method.keep))

    # Factors fold into a norm that stands before, into rows of v, and into rows of up where there is a gate; AWQ's into
    # the second norm alone (awq.py).
    smoothed = method.activations is not None and method.kind != "awq"
    by_rows = smoothed and not method.per_tensor
    fold_one = into_norm(layer.input_layernorm) if smoothed and not layer.post else None
    by_v = by_rows and "v_proj" not in method.keep
    fold_v = into_rows(attention.v_proj, made, "self_attn.v_proj", attention.d_head) if by_v else None
    fold_two = None if layer.post else into_norm(layer.post_attention_layernorm)
    by_up = by_rows and "gate_proj" in into_ffn and "up_proj" not in method.keep
    fold_up = into_rows(mlp.up_proj, made, "mlp.up_proj") if by_up else None
    x_CTD = run.x_CTD
    before = normed(layer.input_layernorm, x_CTD)
    made |= quantize_group(layer, "self_attn", QKV, method, size, before, fold_one)
    into = heads(before)
    done(attention, "q_proj", "k_proj")
    made |= quantize_group(layer, "self_attn", OUTPUT, method, size, into, fold_v)
    done(attention, "v_proj")
    x_CTD = x_CTD + run.map(attention.o_proj, into)
    done(attention, "o_proj")
    x_CTD = run.map(layer.input_layernorm, x_CTD) if layer.post else x_CTD
    before = normed(layer.post_attention_layernorm, x_CTD)
    made |= quantize_group(layer, "mlp", into_ffn, method, size, before, fold_two)
    into = inner(before)
    done(mlp, *into_ffn)
    made |= quantize_group(layer, "mlp", DOWN, method, size, into, fold_up)
    x_CTD = x_CTD + run.map(mlp.down_proj, into)
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


def write_layer(path: Path, index: int, layer: Layer, made: Made, layout: Layout) -> None:
    """Write a layer's tensors, its matrices quantized, under their names; errors and sizes stand in the header."""
    prefix, before, after = f"model.layers.{index}", 0, 0
    tensors = {
        f"{prefix}.{name}": tensor.contiguous()
        for name, tensor in layer.state_dict().items()
        if name.removesuffix(".weight") not in made
    }
    for name, (weight, _) in made.items():
        stored = stored_tensors(f"{prefix}.{name}", weight, layout)
        tensors |= stored
        before += 4 * weight.q_NK.numel()
        after += sum(tensor.nbytes for key, tensor in stored.items() if not key.endswith(".weight_shape"))
    errors = {f"{prefix}.{name}": error for name, (_, error) in made.items()}
    part = path.with_suffix(".part")
    # One entry, since safetensors writes several in any order.
    save_file(tensors, part, metadata={"made": json.dumps({"errors": errors, "bytes": [before, after]})})
    part.rename(path)


def read_made(path: Path) -> dict:
    """Return the errors of a layer's matrices and their bytes, in fp32 and packed."""
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["made"])


def packed_sizes(files: list[Path]) -> tuple[int, int]:
    """Return the bytes of all quantized matrices in fp32, and as they are stored, with their scales."""
    before, after = (sum(sizes) for sizes in zip(*(read_made(file)["bytes"] for file in files), strict=True))
    return before, after


def read_layers(files: list[Path]) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors of one layer after the other, with their names."""
    for file in files:
        yield from load_file(file).items()
