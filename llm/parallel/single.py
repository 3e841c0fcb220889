"""The engine of one process: forward, backward, clip, update. No communication."""

import torch

from llm.errors import InputError
from llm.model.transformer import CausalLM
from llm.train.engine import Piece, Read, Rows
from llm.train.loss import cross_entropy, token_losses
from llm.train.optimizer import Optimizer, OptimizerSettings


class SingleEngine:
    """llm/train/engine.py's Engine for a model whose weights lie in this process."""

    rank, world_size = 0, 1

    def __init__(self, model: CausalLM, settings: OptimizerSettings, dtype: torch.dtype) -> None:
        self.model = model.train()
        self.optimizer = Optimizer(model, settings)
        self.dtype = dtype

    def gradients(self, rows: Rows, batch_size: int) -> tuple[float, float]:
        tokens_BT = rows(0, batch_size)
        loss = cross_entropy(self.hidden(tokens_BT), self.model.output_weight, tokens_BT[:, 1:].flatten())
        loss.backward()
        return loss.item(), self.optimizer.norm()

    def hidden(self, tokens_BT: torch.Tensor) -> torch.Tensor:
        """int64 [B, T + 1] -> [B T, D] in the dtype of matrix products, the last token of each row left out."""
        with torch.autocast(tokens_BT.device.type, self.dtype, enabled=self.dtype != torch.float32):
            hidden_BTD = self.model.hidden(tokens_BT[:, :-1])
        return hidden_BTD.flatten(0, 1).to(self.dtype)

    def update(self, factor: float, norm: float) -> None:
        self.optimizer.step(factor, norm)

    def skip(self) -> None:
        self.model.zero_grad(set_to_none=True)

    def token_losses(self, tokens_BT: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return token_losses(self.hidden(tokens_BT), self.model.output_weight, tokens_BT[:, 1:].flatten())

    def weights(self) -> list[Piece]:
        return pieces_of(self.model.state_dict())

    def optimizer_state(self) -> list[Piece]:
        return pieces_of(self.optimizer.state_tensors())

    def load(self, weights: Read, optimizer_state: Read, origin: str) -> None:
        with torch.no_grad():
            for name, weight in self.model.state_dict().items():
                stored = weights(name, None)
                if stored is None or stored.shape != weight.shape:
                    raise InputError(f"{origin}: {name} is missing or of another shape; it belongs to another model")
                weight.copy_(stored)
        self.optimizer.load_state(optimizer_state, origin)


def pieces_of(tensors: dict[str, torch.Tensor]) -> list[Piece]:
    """Whole tensors, each its own only piece."""
    return [
        Piece(name, tuple(tensor.shape), (0,) * tensor.ndim, tensor.detach().contiguous())
        for name, tensor in tensors.items()
    ]
