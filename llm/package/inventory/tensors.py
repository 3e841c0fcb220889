"""Looks into a model directory: every tensor with its shape, dtype, digest, block and spectrum, and what does not work.

The digest is of the tensor's own bytes, so that of two directories the tensors that differ can be named, whatever file
they lie in. Values are by our names, which are Llama's; query, key and value are told by head.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch

from llm.errors import InputError
from llm.model.config import ModelConfig
from llm.package.hf_directory import BLOCK_OF
from llm.package.inventory.matrices import sampled, singular_values

SPECTRUM = 2048  # the smaller side of a matrix up to which all singular values are computed
DEAD = 1e-6  # of the largest norm of a matrix's rows or columns


@dataclass(frozen=True)
class TensorFacts:
    """One tensor. heads: of query, key, value and output, [norm of each head's part]. largest: singular value. rank:
    the stable rank, sum of squared singular values over the largest's square. spectrum: some singular values as [rank,
    value]. dead: rows of `up` and columns of `down` that are nothing beside the others."""

    name: str
    block: str
    layer: int | None
    shape: list[int]
    dtype: str
    sha256: str
    norm: float
    mean: float
    largest: float | None
    rank: float | None
    spectrum: list[list[float]]
    dead: int
    heads: list[float]


def facts_of(config: ModelConfig, tensors: dict[str, torch.Tensor]) -> list[dict]:
    """Return the facts of every tensor, by name."""
    return [asdict(facts(config, name, tensors[name])) for name in sorted(tensors)]


def facts(config: ModelConfig, name: str, tensor: torch.Tensor) -> TensorFacts:
    parts = name.split(".")
    layer = int(parts[2]) if parts[:2] == ["model", "layers"] else None
    if BLOCK_OF.get(parts[-2]) is None:
        raise InputError(f"{name} belongs to no block of this architecture; is this directory of another model?")
    value = tensor.float()
    spectrum = singular_values(value) if value.ndim == 2 and min(value.shape) <= SPECTRUM else None
    largest = None if spectrum is None else float(spectrum[0])
    return TensorFacts(
        name=name,
        block=BLOCK_OF[parts[-2]],
        layer=layer,
        shape=list(tensor.shape),
        dtype=str(tensor.dtype).removeprefix("torch."),
        sha256=digest_of(tensor),
        norm=float(value.norm()),
        mean=float(value.mean()),
        largest=largest,
        rank=None if spectrum is None or not largest else float(spectrum.square().sum()) / largest**2,
        spectrum=[] if spectrum is None else sampled(spectrum),
        dead=dead_units(parts[-2], value) if parts[-1] == "weight" else 0,
        heads=head_norms(config, parts[-2], value) if parts[-1] == "weight" else [],
    )


def digest_of(tensor: torch.Tensor) -> str:
    """Return the sha256 of a tensor's bytes, hexadecimal."""
    plain = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8)
    return hashlib.sha256(plain.numpy().tobytes()).hexdigest()


def dead_units(module: str, value: torch.Tensor) -> int:
    """Count the feed-forward's units whose weights are nothing: rows into it, columns out of it."""
    if module not in ("up_proj", "gate_proj", "down_proj"):
        return 0
    norms = value.norm(dim=0 if module == "down_proj" else 1)
    return int((norms <= DEAD * norms.max()).sum())


def head_norms(config: ModelConfig, module: str, value: torch.Tensor) -> list[float]:
    """Return the norm of each head's rows, of the output's columns."""
    if module not in ("q_proj", "k_proj", "v_proj", "o_proj"):
        return []
    rows = value.T if module == "o_proj" else value
    return rows.unflatten(0, (-1, config.d_head)).flatten(1).norm(dim=1).tolist()


def tying(config: ModelConfig, tensors: dict[str, torch.Tensor]) -> dict:
    """Return whether config.json says that the output layer is the embedding, and what the files say: whether they hold
    both, and if so whether they are equal, and the rows' mean cosine. tensors: by our names, with both if both are
    stored."""
    embedding, output = tensors["model.embed_tokens.weight"], tensors.get("lm_head.weight")
    told: dict = {"stated": config.tie_embeddings, "stored_twice": output is not None, "equal": None, "cosine": None}
    if output is not None and output.shape == embedding.shape:
        told["equal"] = bool(torch.equal(output, embedding))
        told["cosine"] = float(torch.nn.functional.cosine_similarity(output.float(), embedding.float()).mean())
    return told


def changed(one: list[dict], other: list[dict]) -> Iterator[str]:
    """Yield the names of tensors that two inventories do not have with the same bytes."""
    mine, theirs = ({tensor["name"]: tensor["sha256"] for tensor in tensors} for tensors in (one, other))
    yield from sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name))
