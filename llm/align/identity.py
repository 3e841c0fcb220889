"""Says which model an adapter was made on, and refuses another one: its updates load wherever the shapes agree, and
mean nothing there.

An adapter's `revision` (PEFT's field: the version of the base) is a digest of the base's weights. One without it, made
elsewhere, is taken as it comes.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import safe_open

from llm.align.lora import CONFIG_NAME, config_values
from llm.errors import InputError
from llm.model.directory import INDEX, WEIGHTS_NAME, shard_names

KIND = "sha256:"


def weights_digest(model: Path) -> str:
    """Return "sha256:" and a digest of a model directory's tensors: their names, dtypes, shapes and bytes. In how many
    files they lie, and what stands beside them, changes nothing. The directory is one that was loaded."""
    whole = (model / WEIGHTS_NAME).is_file()
    files = [model / name for name in ([WEIGHTS_NAME] if whole else shard_names(model / INDEX))]
    places: dict[str, Path] = {}
    for path in files:
        with safe_open(path, "pt") as file:
            places |= dict.fromkeys(file.keys(), path)
    found = hashlib.sha256()
    for name in sorted(places):
        with safe_open(places[name], "pt") as file:  # what was read of an open file stays in memory
            tensor = file.get_tensor(name)
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return KIND + found.hexdigest()


def refuse_another_base(adapter: Path, base: Path, digest: Callable[[Path], str] = weights_digest) -> None:
    """Raise InputError where an adapter directory says that it was made on another model than that of the directory
    `base`. digest: weights_digest, or what remembers it for one base of many adapters."""
    stated = str(config_values(adapter).get("revision"))
    if not stated.startswith(KIND):
        return
    found = digest(base)
    if stated != found:
        raise InputError(
            f"{adapter / CONFIG_NAME}: the adapter was made on a model of {stated[: len(KIND) + 12]}, {base} is "
            f"{found[: len(KIND) + 12]}; give it the model that it was made on, or train it again on this one"
        )
