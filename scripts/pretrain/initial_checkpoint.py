"""Make the checkpoint of step 0 that pretraining goes on from, of an imported model: its weights, and an optimizer that
has made no step."""

from pathlib import Path

import torch

from llm.command import command
from llm.model.config import digest
from llm.model.directory import load_model
from llm.pretrain.next_token import NextToken
from llm.runtime.agreement import Ranks
from llm.training.checkpoint import Snapshot, beginning, save_checkpoint
from llm.training.engines.layout import Layout
from llm.training.engines.single import SingleEngine
from llm.training.settings import OptimizerSettings


def main(imported: Path, checkpoint: Path, *, settings: OptimizerSettings) -> dict:
    """imported: model directory. checkpoint: empty directory to fill. settings: of the optimizer, whose kind decides
    what is kept for each weight. Returns the step."""
    model = load_model(imported)
    state = beginning() | {"config": digest(model.config), "layout": Layout().to_dict()}
    save_checkpoint(
        checkpoint, Snapshot.of(SingleEngine(NextToken(model, torch.float32), settings)), state, Ranks(0, 1)
    )
    return {"step": 0, "parameters": sum(weight.numel() for weight in model.parameters())}


if __name__ == "__main__":
    command(main)
