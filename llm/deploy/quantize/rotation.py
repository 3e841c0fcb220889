"""Rotates a model's hidden states before it is quantized (QuaRot, Ashkboos et al. 2024, arXiv:2404.00456): what was
large in a few of them is spread over all, and the model computes what it did.

R1 rotates the residual stream: RMSNorm commutes with it once its scales stand in the matrices behind it. R2 rotates
the values of each head. Both are products of weights, made once; nothing is added to the model's forward pass. The
embedding and lm_head are rotated in two ways, so they become two matrices where they were one.

Legend: D d_model, H d_head; a matrix is [out, in].
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from llm.deploy.quantize.lazy_weights import LazyWeights
from llm.errors import InputError
from llm.model.config import ModelConfig
from llm.model.hf_config import OWN

SEED = 0  # of the rotation: one is as good as another


class RotatedWeights(LazyWeights):
    """A directory's tensors, rotated. Raises InputError for a model whose norms do not commute with rotations."""

    def __init__(self, directory: Path, config: ModelConfig) -> None:
        super().__init__(directory, config)
        if (config.norm, config.norm_order) != ("rmsnorm", "pre") or config.position == "learned":
            raise InputError(
                f"{directory}: rotation needs RMSNorm before each part of a layer, and no learned positions; "
                "leave quantize's rotation out"
            )
        self.tied = config.tie_embeddings
        self.config = replace(config, tie_embeddings=False)
        self.r1_DD, self.r2_HH = rotation(config.d_model), rotation(config.d_head)

    def outside(self, part: str = "") -> Iterator[tuple[str, torch.Tensor]]:
        found = dict(super().outside())
        embedding = found["model.embed_tokens.weight"].double()
        head = embedding if self.tied else found["lm_head.weight"].double()
        norm_D = found["model.norm.weight"]
        changed = {
            "model.embed_tokens.weight": embedding @ self.r1_DD,
            "lm_head.weight": head * norm_D @ self.r1_DD,
            "model.norm.weight": torch.ones_like(norm_D),
        }
        found |= {name: tensor.float() for name, tensor in changed.items()}
        return ((name, tensor) for name, tensor in found.items() if part in name)

    def block(self, index: int) -> dict[str, torch.Tensor]:
        found = super().block(index)
        changed = {name: tensor.double() for name, tensor in found.items()}
        for norm, part, names in (
            ("input_layernorm", "self_attn", ("q_proj", "k_proj", "v_proj")),
            ("post_attention_layernorm", "mlp", ("gate_proj", "up_proj")),
        ):
            for name in names:
                if (weight := f"{part}.{name}.weight") in changed:
                    changed[weight] = changed[weight] * changed[f"{norm}.weight"] @ self.r1_DD
            changed[f"{norm}.weight"] = torch.ones_like(changed[f"{norm}.weight"])
        for name in ("self_attn.v_proj.weight", "self_attn.v_proj.bias"):
            if name in changed:
                rows = changed[name].unflatten(0, (-1, self.config.d_head))
                changed[name] = torch.einsum("nh...,hg->ng...", rows, self.r2_HH).flatten(0, 1)
        heads = changed["self_attn.o_proj.weight"].unflatten(1, (-1, self.config.d_head))
        changed["self_attn.o_proj.weight"] = (heads @ self.r2_HH).flatten(1)
        for name in ("self_attn.o_proj", "mlp.down_proj"):
            for kind in ("weight", "bias"):
                if (key := f"{name}.{kind}") in changed:
                    changed[key] = self.r1_DD.T @ changed[key]
        return {name: tensor.float() for name, tensor in changed.items()}


def rotation(size: int) -> torch.Tensor:
    """Return an orthogonal matrix, fp64 [size, size], whose elements are alike in size: Hadamard's, as far as the size
    is a power of two, times an orthogonal one of what is left, with seeded signs."""
    generator = torch.Generator().manual_seed(SEED)
    odd = size
    while odd % 2 == 0:
        odd //= 2
    rest = torch.linalg.qr(torch.randn(odd, odd, generator=generator, dtype=torch.float64))[0].contiguous()
    half = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64) / 2**0.5
    result = rest
    while len(result) < size:
        result = torch.kron(half, result)
    return result * (torch.randint(0, 2, (size, 1), generator=generator) * 2 - 1)


def untied(config: dict) -> dict:
    """Return a config.json whose embedding and lm_head are two matrices."""
    if config["model_type"] == OWN:
        return config | {OWN: config[OWN] | {"tie_embeddings": False}}
    return config | {"tie_word_embeddings": False}
