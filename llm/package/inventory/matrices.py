"""Weights in little, for pictures: spectra, matrices as grids of cells, histograms, scales of the norms.

Legend: D d_model, F d_ff, V vocabulary; a matrix is [out, in].
"""

import numpy as np
import torch

from llm.model.config import ModelConfig
from llm.package.hf_directory import BLOCK_OF

DIGITS = 4  # significant ones of what is for pictures
POINTS = 40  # of a spectrum
CELLS = (16, 48)  # rows and columns of a matrix in little
CHANNELS = 64  # of a norm's scales
BINS = 24  # of a histogram
ATTENTION = ("q_proj", "k_proj", "v_proj")
FFN = ("gate_proj", "up_proj", "down_proj")
Tensors = dict[str, torch.Tensor]


def rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def singular_values(value: torch.Tensor) -> torch.Tensor:
    """Return all singular values of a matrix, the largest first, in fp64 by way of the smaller Gram matrix: of a
    vocabulary's rows that is the size of d_model."""
    wide = value.double() if value.shape[0] <= value.shape[1] else value.double().T
    return torch.linalg.eigvalsh(wide @ wide.T).clamp(min=0).sqrt().flip(0)


def sampled(spectrum: torch.Tensor) -> list[list[float]]:
    """Return at most POINTS of the singular values as [rank from 1, value], in even steps, with both ends."""
    places = np.unique(np.linspace(0, len(spectrum) - 1, min(POINTS, len(spectrum))).round().astype(int))
    return [[int(place) + 1, rounded(float(spectrum[place]))] for place in places]


def histogram(values: torch.Tensor) -> dict[str, list]:
    """Return {edges, counts}: how often values lie between edges, of which there is one more. Values that are not
    finite are left out."""
    finite = values.flatten().double().numpy()
    counts, edges = np.histogram(finite[np.isfinite(finite)], BINS)
    return {"edges": [rounded(edge) for edge in edges], "counts": counts.tolist()}


def cells(matrix: torch.Tensor, rows: int, columns: int) -> list[list[float]]:
    """Return a matrix in little: the root mean square of each part of at most rows x columns."""
    size = min(rows, matrix.shape[0]), min(columns, matrix.shape[1])
    squares = torch.nn.functional.adaptive_avg_pool2d(matrix.float().square()[None, None], size)[0, 0]
    return [[rounded(value) for value in row] for row in squares.sqrt().tolist()]


def layers_shown(config: ModelConfig) -> list[int]:
    """The first, the middle and the last layer."""
    return sorted({0, config.n_layers // 2, config.n_layers - 1})


def fused(config: ModelConfig, tensors: Tensors) -> list[dict]:
    """Return W_QKV of some layers in little: query, key and value side by side as one product takes them, [D, (H + 2 K)
    d_head], with some columns a head."""
    columns = max(1, CELLS[1] // (config.n_heads + 2 * config.n_kv_heads)) * (config.n_heads + 2 * config.n_kv_heads)
    found = []
    for layer in layers_shown(config):
        parts = [tensors[f"model.layers.{layer}.self_attn.{name}.weight"] for name in ATTENTION]
        matrix = torch.cat(parts).T
        widths = ", ".join(f"{kind} {len(part)}" for kind, part in zip("QKV", parts, strict=True))
        title = f"layer {layer}: {widths} columns of [{matrix.shape[0]} × {matrix.shape[1]}]"
        found.append({"title": title, "cells": cells(matrix, CELLS[0], columns)})
    return found


def feed_forwards(config: ModelConfig, tensors: Tensors) -> list[dict]:
    """Return the feed-forward's matrices of some layers in little, each with D down and F across."""
    found = []
    for layer in layers_shown(config):
        for name, ours in zip(
            FFN, ("W1, the gate", "W3, up" if config.activation == "swiglu" else "W1", "W2"), strict=True
        ):
            matrix = tensors.get(f"model.layers.{layer}.mlp.{name}.weight")
            if matrix is not None:
                matrix = matrix if name == "down_proj" else matrix.T
                found.append({"title": f"layer {layer}: {ours}", "cells": cells(matrix, *CELLS)})
    return found


def units(tensors: Tensors) -> dict[str, list]:
    """Return a histogram of the feed-forward's units over all layers, by the norm of what each one writes."""
    return histogram(
        torch.cat([value.float().norm(dim=0) for name, value in tensors.items() if "down_proj.weight" in name])
    )


def scales(tensors: Tensors) -> dict[str, dict]:
    """Return the norms' gamma, and beta where there are any, of all norms over d_model: a row a norm in the order of
    the model, a cell the mean over neighbouring channels, and a histogram of all."""
    found: dict[str, dict] = {}
    for label, kind in (("gamma", "weight"), ("beta", "bias")):
        names = sorted((name for name in tensors if is_norm(name, kind)), key=place)
        if names:
            vectors = torch.stack([tensors[name].float() for name in names])
            size = len(names), min(CHANNELS, vectors.shape[1])
            means = torch.nn.functional.adaptive_avg_pool2d(vectors[None, None], size)[0, 0]
            found[label] = {
                "rows": [norm_label(name) for name in names],
                "cells": [[rounded(value) for value in row] for row in means.tolist()],
                "values": histogram(vectors),
            }
    return found


def is_norm(name: str, kind: str) -> bool:
    module, ending = name.split(".")[-2:]
    return ending == kind and BLOCK_OF.get(module) == "norms" and module not in ("q_norm", "k_norm")


def norm_label(name: str) -> str:
    """Return what people call a norm: its layer and the part that it belongs to."""
    parts = name.split(".")
    if parts[1] != "layers":
        return "embedding" if parts[1] == "embed_norm" else "last"
    return f"{parts[2]} {'attention' if parts[3] == 'input_layernorm' else 'ffn'}"


def place(name: str) -> tuple:
    """Sort norms as the model applies them: after the embedding, layer by layer, at the end."""
    parts = name.split(".")
    if parts[1] == "layers":
        return (1, int(parts[2]), parts[3] != "input_layernorm")
    return (0 if parts[1] == "embed_norm" else 2, 0, False)
