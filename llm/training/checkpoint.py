"""Reads and writes checkpoint directories: weights (fp32), optimizer state, state.json. Bytes depend on content only.

    model.safetensors  optimizer.safetensors            where one rank held whole tensors: one process, DDP
    model-00001-of-00004.safetensors ... model.index.json           otherwise a file for each rank, and an index of them

Any layout's checkpoint loads into any other. A checkpoint belongs to one architecture, whose digest it states. What it
descends from is recorded by the build engine.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from llm.errors import InputError
from llm.io.digest import sha256_of
from llm.io.json import write_json
from llm.runtime.agreement import Ranks
from llm.training.engine import Engine, Piece
from llm.training.tensor_shards import join, open_pieces, write_pieces

STATE, MANIFEST = "state.json", "manifest.json"
STATE_KEYS = ("step", "tokens_seen", "skipped", "window", "config")


@dataclass(frozen=True)
class Snapshot:
    """What one rank writes: pieces of the weights and of the optimizer's state."""

    weights: list[Piece]
    optimizer_state: list[Piece]

    @classmethod
    def of(cls, engine: Engine) -> "Snapshot":
        """Take the engine's own tensors, which must be written, or copied by `copy`, before the next step."""
        return cls(engine.weights(), engine.optimizer_state())

    def copy(self) -> "Snapshot":
        """Copy the pieces to the CPU's memory, where later steps do not change them."""
        return Snapshot(*([copied(piece) for piece in pieces] for pieces in (self.weights, self.optimizer_state)))


def copied(piece: Piece) -> Piece:
    return Piece(piece.name, piece.shape, piece.offset, piece.tensor.detach().to("cpu", copy=True))


def beginning() -> dict:
    """Return what state.json says of a run that has made no step."""
    return {"step": 0, "tokens_seen": 0, "skipped": [], "window": []}


def save_checkpoint(directory: Path, snapshot: Snapshot, state: dict, ranks: Ranks) -> None:
    """Write a checkpoint; all ranks call it on the same, existing directory. When it returns, everything is written. If
    a rank could not write its part it raises OSError, the others InputError."""
    fault = None
    for stem, pieces in (("model", snapshot.weights), ("optimizer", snapshot.optimizer_state)):
        holding = ranks.gather((bool(pieces), all(piece.whole for piece in pieces)))
        plain = sum(some for some, _ in holding) <= 1 and all(whole for _, whole in holding)
        name = stem if plain else f"{stem}-{ranks.rank + 1:05}-of-{ranks.world_size:05}"
        entries: dict = {}
        try:
            if pieces or (plain and ranks.rank == 0 and not any(some for some, _ in holding)):
                entries = write_pieces(directory / f"{name}.safetensors", pieces)
        except OSError as error:
            fault = error
        parts = ranks.gather(entries)
        if not plain and ranks.rank == 0:
            index = {name: entry.to_json() for name, entry in join(parts).items()}
            fault = fault or written(directory / f"{stem}.index.json", index)
    if ranks.rank == 0:
        fault = fault or written(directory / STATE, state)
    faults = ranks.gather(None if fault is None else str(fault))
    if fault is not None:
        raise fault
    if any(faults):
        raise InputError(f"{directory}: {next(filter(None, faults))}")


def written(path: Path, value: dict) -> OSError | None:
    """Write JSON; an error of the file system is returned, not raised, since the other ranks wait to hear of it."""
    try:
        write_json(path, value)
    except OSError as error:
        return error
    return None


def whole_weights(engine: Engine, directory: Path, ranks: Ranks) -> dict[str, torch.Tensor]:
    """Return all trained weights, whole and on the CPU, on rank 0, and nothing on the others, by way of a directory
    that all ranks see."""
    if ranks.rank == 0:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
    ranks.gather(None)  # it is there
    save_checkpoint(directory, Snapshot(engine.weights(), []), {}, ranks)
    if ranks.rank != 0:
        return {}
    found = {name: tensor.clone() for name, tensor in open_pieces(directory, "model").all().items()}
    shutil.rmtree(directory)
    return found


def load_checkpoint(directory: Path, engine: Engine, config: str, ranks: Ranks) -> dict:
    """Verify a checkpoint, fill the engine, and return state.json's content. `config`: the architecture's digest.
    Raises InputError if a file is missing or damaged, or belongs to another model or optimizer."""
    faults = list(filter(None, ranks.gather(fault_of(directory, ranks))))
    if faults:
        raise InputError(f"{faults[0]}; build the checkpoint again")
    state = read_state(directory)
    if state["config"] != config:
        raise InputError(
            f"{directory} is of another architecture: it states config.json {state['config'][:12]}, this one is "
            f"{config[:12]}; continue it with its own config.json, or start again from step 0"
        )
    engine.load(open_pieces(directory, "model"), open_pieces(directory, "optimizer"), str(directory))
    return state


def read_state(directory: Path, needed: tuple[str, ...] = STATE_KEYS) -> dict:
    """Return state.json's content. Raises InputError if it cannot be read, or lacks a key of `needed`."""
    try:
        state = json.loads((directory / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{directory / STATE} cannot be read ({error}); build the checkpoint again") from error
    missing = [name for name in needed if name not in state] if isinstance(state, dict) else list(needed)
    if missing:
        raise InputError(
            f"{directory / STATE} lacks {', '.join(missing)}: another version of this program wrote it; "
            "build the checkpoint again"
        )
    return state


def check_finite(directory: Path, engine: Engine, ranks: Ranks) -> None:
    """Raise InputError if what was loaded from a checkpoint holds NaN or infinity: no rate would mend that."""
    pieces = [*engine.weights(), *engine.optimizer_state()]
    wrong = next((piece.name for piece in pieces if not bool(piece.tensor.isfinite().all())), None)
    found = next(filter(None, ranks.gather(wrong)), None)
    if found is not None:
        raise InputError(
            f"{directory}: {found} holds numbers that are not finite; this checkpoint is spoilt, build it again"
        )


def fault_of(directory: Path, ranks: Ranks) -> str | None:
    """Return what is wrong with this rank's share of the files that manifest.json lists; None without a manifest."""
    try:
        listed = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))["files"]
    except FileNotFoundError:
        return None
    except ValueError:
        return f"{directory / MANIFEST} is damaged"
    for item in listed[ranks.rank :: ranks.world_size]:
        path = directory / item["path"]
        if not path.is_file() or path.stat().st_size != item["size"] or sha256_of(path) != item["sha256"]:
            return f"{path} is missing or damaged"
    return None


def manifest_of(directory: Path, ranks: Ranks) -> dict:
    """Return path, size and sha256 of every file in a directory, as in a manifest.json. The ranks share the work."""
    files = sorted(path for path in directory.iterdir() if path.name != MANIFEST)
    mine = [
        {"path": path.name, "size": path.stat().st_size, "sha256": sha256_of(path)}
        for path in files[ranks.rank :: ranks.world_size]
    ]
    listed = [item for items in ranks.gather(mine) for item in items]
    return {"files": sorted(listed, key=lambda item: item["path"])}
