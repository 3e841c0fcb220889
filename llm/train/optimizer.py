"""Which parameters an optimizer moves, how fast, and how its state is written down.

`adamw`: AdamW (Loshchilov and Hutter 2019) for everything, decay on matrices only. `muon`: Muon (Jordan 2024; torch's
own) for the matrices inside the layers, AdamW for the embedding, the output layer and the norms.
"""

from dataclasses import dataclass

import torch

from llm.errors import InputError
from llm.model.transformer import CausalLM
from llm.train.engine import Read

BETAS = (0.9, 0.95)
EPS = 1e-8
MUON_MOMENTUM = 0.95
STATE = {"adamw": ("exp_avg", "exp_avg_sq", "step"), "muon": ("momentum_buffer",)}  # what each keeps per parameter


@dataclass(frozen=True)
class OptimizerSettings:
    """`learning_rate` is AdamW's peak, `matrix_learning_rate` Muon's (an orthogonal update times
    sqrt(max(1, rows / columns))); `weight_decay` is decoupled and times the rate; `clip_norm` bounds the gradient."""

    name: str
    learning_rate: float
    matrix_learning_rate: float
    weight_decay: float
    clip_norm: float
    newton_schulz_steps: int = 5


class Optimizer:
    """One or two torch optimizers over the named parameters of a model."""

    def __init__(self, model: CausalLM, settings: OptimizerSettings) -> None:
        self.settings = settings
        self.named = dict(model.named_parameters())
        matrices, tables, vectors = [], [], []
        for name, weight in self.named.items():
            if weight.ndim == 1:
                vectors.append(weight)
            elif settings.name == "muon" and name.startswith("model.layers."):
                matrices.append(weight)
            else:
                tables.append(weight)
        groups = [
            {"params": tables, "weight_decay": settings.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        self.parts: dict[str, torch.optim.Optimizer] = {
            "adamw": torch.optim.AdamW(groups, settings.learning_rate, BETAS, EPS, fused=True)
        }
        if matrices:
            self.parts["muon"] = torch.optim.Muon(
                matrices,
                settings.matrix_learning_rate,
                settings.weight_decay,
                MUON_MOMENTUM,
                ns_steps=settings.newton_schulz_steps,
            )

    def norm(self) -> float:
        """The gradient's Euclidean norm, over all parameters."""
        return gradient_norm(list(self.named.values()))

    def step(self, factor: float, norm: float) -> None:
        """Clips a gradient of this norm, updates with `factor` times the peak rates, drops the gradients."""
        scale = self.settings.clip_norm / (norm + 1e-6)
        if scale < 1:
            torch._foreach_mul_([weight.grad for weight in self.named.values()], scale)
        for name, part in self.parts.items():
            peak = self.settings.matrix_learning_rate if name == "muon" else self.settings.learning_rate
            for group in part.param_groups:
                group["lr"] = peak * factor
            part.step()
            part.zero_grad(set_to_none=True)

    def state_tensors(self) -> dict[str, torch.Tensor]:
        """`<part>.<parameter>.<state>` -> tensor, everything that the next step depends on but the weights."""
        tensors = {}
        for part_name, part in self.parts.items():
            for name, weight in self.named.items():
                for key, value in part.state.get(weight, {}).items():
                    tensors[f"{part_name}.{name}.{key}"] = value.detach().contiguous()
        return tensors

    def load_state(self, read: Read, origin: str) -> None:
        """The inverse. InputError if what is stored is another optimizer's or another model's."""
        name_of = {weight: name for name, weight in self.named.items()}
        for part_name, part in self.parts.items():
            for weight in (weight for group in part.param_groups for weight in group["params"]):
                state = {}
                for key in STATE[part_name]:
                    name = f"{part_name}.{name_of[weight]}.{key}"
                    state[key] = read(name, None)
                    if state[key] is None:
                        raise InputError(f"{origin} has no {name}; it was written with another optimizer or model")
                part.state[weight] = state


def gradient_norm(weights: list[torch.nn.Parameter]) -> float:
    """Euclidean norm over all gradients. Row by row first: a reduction over rows is never split between threads, so
    the norm does not depend on their number."""
    rows = [torch.linalg.vector_norm(weight.grad, dim=-1).flatten() for weight in weights]
    return float(torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(row) for row in rows])))
