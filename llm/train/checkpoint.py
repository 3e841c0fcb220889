"""A checkpoint directory: model.safetensors (fp32), optimizer.safetensors, state.json. Bytes depend on their content
only. What it descends from is the engine's to record."""

import json
from pathlib import Path

from safetensors.torch import save_file

from llm.errors import InputError
from llm.model.directory import load_weights, read_tensors, save_weights
from llm.model.transformer import CausalLM
from llm.train.optimizer import Optimizer

MODEL, OPTIMIZER, STATE = "model.safetensors", "optimizer.safetensors", "state.json"


def save_checkpoint(directory: Path, model: CausalLM, optimizer: Optimizer, step: int, tokens_seen: int) -> None:
    save_weights(model, directory / MODEL)
    save_file(optimizer.state_tensors(), directory / OPTIMIZER, metadata={"format": "pt"})
    state = {"step": step, "tokens_seen": tokens_seen}
    (directory / STATE).write_text(json.dumps(state, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def load_checkpoint(directory: Path, model: CausalLM, optimizer_of) -> tuple[Optimizer, dict]:
    """Fills `model`, then builds `optimizer_of(model)` and its state. Returns the optimizer and state.json's content.

    InputError if a file is missing, damaged or belongs to another model or optimizer."""
    load_weights(model, directory / MODEL)
    optimizer = optimizer_of(model)
    optimizer.load_state_tensors(read_tensors(directory / OPTIMIZER), str(directory / OPTIMIZER))
    try:
        state = json.loads((directory / STATE).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"{directory / STATE} cannot be read ({error}); build the checkpoint again") from error
    return optimizer, state
