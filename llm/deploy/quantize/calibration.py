"""Draws and reads calibration sets: sequences of training tokens, equally many from each domain, by a seed."""

import json
from pathlib import Path

import numpy as np
import torch

from llm.deploy.settings.calibration import CalibrationSettings
from llm.errors import InputError
from llm.tokenize.indexed import IndexedTokens

TOKENS, META = "tokens.npy", "meta.json"


def draw(tokens: Path, settings: CalibrationSettings) -> tuple[np.ndarray, dict[str, int]]:
    """Return int64 [sequences, tokens] and how many sequences each domain gave. Every sequence begins at a place of a
    source's training stream that is drawn by (seed, its number). Raises InputError where a source is too short."""
    streams: dict[str, list[np.ndarray]] = {}
    for path in sorted(tokens.glob("*/meta.json")):
        stream = IndexedTokens(path.parent / "train").tokens
        domain = json.loads(path.read_text(encoding="utf-8"))["domain"]
        if len(stream) >= settings.length:
            streams.setdefault(domain, []).append(stream)
    wanted = sorted(streams) if settings.domains is None else settings.domains
    if missing := [domain for domain in wanted if domain not in streams] or ([] if wanted else ["any domain"]):
        raise InputError(
            f"quantize.calibration: {missing[0]} has no training text of {settings.length} tokens, one sequence; "
            f"shorten quantize.calibration.length, or choose of {', '.join(sorted(streams)) or 'other sources'}"
        )
    rows, counts = [], dict.fromkeys(wanted, 0)
    for number in range(settings.sequences):
        domain = wanted[number % len(wanted)]
        random = np.random.Generator(np.random.PCG64([settings.seed, number]))
        sources = streams[domain]
        size = np.array([len(stream) for stream in sources], dtype=np.float64)
        stream = sources[int(random.choice(len(sources), p=size / size.sum()))]
        begin = int(random.integers(0, len(stream) - settings.length + 1))
        rows.append(np.asarray(stream[begin : begin + settings.length], dtype=np.int64))
        counts[domain] += 1
    return np.stack(rows), counts


def read_calibration(directory: Path, vocab_size: int, context_length: int) -> tuple[torch.Tensor, list[str]]:
    """Return the tokens, int64 [C, T], and their domains. Raises InputError where the model cannot read them."""
    tokens = np.load(directory / TOKENS)
    if tokens.max() >= vocab_size:
        raise InputError(f"{directory}: token {tokens.max()} is outside the model's vocabulary of {vocab_size}")
    if tokens.shape[1] > context_length:
        raise InputError(
            f"quantize.calibration.length: {tokens.shape[1]} is more than the model's context of {context_length}"
        )
    meta = json.loads((directory / META).read_text(encoding="utf-8"))
    return torch.from_numpy(tokens), sorted(meta["sequences"])
