"""A checkpoint directory: model.safetensors (fp32), optimizer.safetensors, state.json. Bytes depend on their content
only. What it descends from is the engine's to record."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from llm.errors import InputError
from llm.model.directory import read_tensors
from llm.train.engine import Engine, Read

MODEL, OPTIMIZER, STATE = "model.safetensors", "optimizer.safetensors", "state.json"


def save_checkpoint(directory: Path, engine: Engine, step: int, tokens_seen: int) -> None:
    for name, pieces in ((MODEL, engine.weights()), (OPTIMIZER, engine.optimizer_state())):
        save_file({piece.name: piece.tensor for piece in pieces}, directory / name, metadata={"format": "pt"})
    state = {"step": step, "tokens_seen": tokens_seen}
    (directory / STATE).write_text(json.dumps(state, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def load_checkpoint(directory: Path, engine: Engine) -> dict:
    """Fills the engine and returns state.json's content. InputError if a file is missing, damaged or belongs to another
    model or optimizer."""
    engine.load(reader(directory / MODEL), reader(directory / OPTIMIZER), str(directory))
    try:
        return json.loads((directory / STATE).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"{directory / STATE} cannot be read ({error}); build the checkpoint again") from error


def reader(path: Path) -> Read:
    tensors = read_tensors(path)

    def read(name: str, where: tuple[slice, ...] | None) -> torch.Tensor | None:
        return tensors[name][where or ...] if name in tensors else None

    return read
