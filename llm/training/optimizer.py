"""Assigns parameters to optimizers, updates them, and converts the optimizers' state to pieces.

`adamw`: AdamW (Loshchilov and Hutter 2019) for everything, decay on matrices only. `muon`: Muon (llm/training/muon.py)
for the matrices inside the layers, AdamW for the embedding, the output layer and the norms. It works on whatever pieces
of the weights a rank holds, without communication.
"""

from collections.abc import Callable

import torch

from llm.errors import InputError
from llm.training.engine import Piece, Read
from llm.training.muon import Muon
from llm.training.settings import OptimizerSettings

BETA1 = 0.9
EPS = 1e-8
MUON_MOMENTUM = 0.95
NEWTON_SCHULZ_STEPS = 5
STATE = {"adamw": ("step", "exp_avg", "exp_avg_sq"), "muon": ("momentum_buffer",)}  # the state of each per parameter


class Optimizer:
    """One or two torch optimizers over the weights, or pieces of weights, that a rank holds. `muon` makes the one for
    matrices, from torch.optim.Muon's arguments."""

    def __init__(self, held: list[Piece], settings: OptimizerSettings, muon: Callable[..., Muon]) -> None:
        self.settings = settings
        self.held = held
        matrices, decayed, others = [], [], []
        for piece in held:
            if settings.optimizer == "muon" and len(piece.shape) == 2 and piece.name.startswith("model.layers."):
                matrices.append(piece.tensor)
            elif len(piece.shape) == 1 or piece.name.startswith("model.embed_"):
                others.append(piece.tensor)
            else:
                decayed.append(piece.tensor)
        groups = [
            {"params": decayed, "weight_decay": settings.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        # Fused on a CPU, too: without, its square root is one of MKL's, whose bits an AMD and an Intel do not share.
        self.parts: dict[str, torch.optim.Optimizer] = {
            "adamw": torch.optim.AdamW(groups, settings.learning_rate, (BETA1, settings.beta2), EPS, fused=True)
        }
        if matrices:
            self.parts["muon"] = muon(
                matrices,
                settings.matrix_learning_rate,
                settings.weight_decay,
                MUON_MOMENTUM,
                ns_steps=NEWTON_SCHULZ_STEPS,
            )
        for name, part in self.parts.items():  # a checkpoint may come before the first update
            for weight in (weight for group in part.param_groups for weight in group["params"]):
                part.state[weight] = fresh_state(name, weight)

    def norm(self) -> torch.Tensor:
        """Return the Euclidean norm of the held gradients, on their device: reading it waits for all work before it."""
        return gradient_norm([piece.tensor for piece in self.held])

    def step(self, factor: float, norm: float) -> None:
        """Clip a gradient of this norm, update with `factor` times the peak rates, drop the gradients."""
        scale = self.settings.clip_norm / (norm + 1e-6)
        if scale < 1:
            torch._foreach_mul_(gradients([piece.tensor for piece in self.held]), scale)
        for name, part in self.parts.items():
            peak = self.settings.matrix_learning_rate if name == "muon" else self.settings.learning_rate
            for group in part.param_groups:
                group["lr"] = peak * factor
            part.step()
            part.zero_grad(set_to_none=True)

    def state(self, owned: list[Piece]) -> list[Piece]:
        """Return `<part>.<weight>.<state>` of some of the weights: all that the next step needs except the weights.
        Scalars are whole, all else is cut like the weight."""
        pieces = []
        for part_name, part in self.parts.items():
            for held in owned:
                for key, value in part.state.get(held.tensor, {}).items():
                    shape, offset = (held.shape, held.offset) if value.ndim else ((), ())
                    pieces.append(Piece(f"{part_name}.{held.name}.{key}", shape, offset, value.detach().contiguous()))
        return pieces

    def load_state(self, read: Read, origin: str) -> None:
        """Read the state back. Raises InputError if what is stored belongs to another optimizer or model."""
        for part_name, part in self.parts.items():
            mine = {weight for group in part.param_groups for weight in group["params"]}
            for held in self.held:
                if held.tensor not in mine:
                    continue
                state = part.state[held.tensor] = {}
                for key in STATE[part_name]:
                    name = f"{part_name}.{held.name}.{key}"
                    stored = read(name, None if key == "step" else held.where)
                    if stored is None:
                        raise InputError(f"{origin} has no {name}; it was written with another optimizer or model")
                    state[key] = stored.to(held.tensor.device)


def fresh_state(part: str, weight: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return what torch's optimizer of this name keeps for a weight before its first update."""
    return {
        key: torch.zeros((), device=weight.device) if key == "step" else torch.zeros_like(weight) for key in STATE[part]
    }


def gradients(weights: list[torch.Tensor]) -> list[torch.Tensor]:
    """Theirs; a backward pass has given each of them one."""
    found = [weight.grad for weight in weights if weight.grad is not None]
    assert len(found) == len(weights)
    return found


def gradient_norm(weights: list[torch.Tensor]) -> torch.Tensor:
    """Return the Euclidean norm over all gradients, a scalar. On a CPU it is computed by rows first: a reduction over
    rows is never split between threads, so the norm does not depend on their number. On a GPU it takes few launches."""
    if not weights[0].is_cpu:
        return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients(weights))))
    rows = [torch.linalg.vector_norm(gradient, dim=-1).flatten() for gradient in gradients(weights)]
    return torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(row) for row in rows]))
