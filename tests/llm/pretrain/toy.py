"""A toy segment of pretraining for tests: its text, its parameters, and the command line that trains it."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import polars as pl

from llm.command import Surroundings
from llm.model.config import ModelConfig
from llm.pretrain.settings import SegmentSettings
from llm.settings import made
from tests.llm.tokenize.write_ids import write_indexed

ROOT = Path(__file__).resolve().parents[3]
MODEL = ModelConfig(64, 32, 2, 4, 2, 8, 64, 32)
COMMON = {
    "batch_size": 8,
    "optimizer": "muon",
    "learning_rate": 0.01,
    "matrix_learning_rate": 0.02,
    "weight_decay": 0.1,
    "clip_norm": 1.0,
    "schedule": {"kind": "wsd", "warmup_steps": 5, "decay_from": 20, "steps": 40, "final_fraction": 0.0},
    "dtype": "bfloat16",
    "validation_tokens": None,
    "parallel": {},
    "recompute": "none",
    "compile": False,
    "guards": {},
    "recovery_every": 10,
    "seed": 3,
    "start": 0,
    "stop": 40,
}


def make_inputs(directory: Path, model: ModelConfig = MODEL) -> dict[str, Path]:
    """A text of a 64-token alphabet in which each token follows from the one before, with noise."""
    generator = np.random.Generator(np.random.PCG64(0))
    for source in ("a", "b"):
        (directory / "tokens" / source).mkdir(parents=True)
        sizes = {}
        for split, count in (("train", 60), ("validation", 6)):
            documents = []
            for _ in range(count):
                noise = generator.random(100) < 0.2
                steps = np.where(noise, generator.integers(0, 56, 100), 7)
                documents.append(np.append(8 + np.cumsum(steps) % 56, 2))
            write_indexed(directory / "tokens" / source / split, documents, np.uint16)
            sizes[split] = {"documents": count, "bytes": 100 * count, "tokens": 101 * count}
        meta = {"source": source, "domain": source.upper(), **sizes}
        (directory / "tokens" / source / "meta.json").write_text(json.dumps(meta))
    rows = [(source, document) for document in range(60) for source in ("a", "b")]
    schema = {"source": pl.String, "document": pl.UInt32}
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(directory / "plan.parquet")
    (directory / "config.json").write_text(json.dumps(model.to_hf()))
    return {
        "config": directory / "config.json",
        "tokens": directory / "tokens",
        "plan": directory / "plan.parquet",
    }


def main_arguments(inputs: dict, checkpoint: Path, **changes) -> dict:
    """What scripts/pretrain/pretrain.py's `main` takes: inputs, then keys of the slice and of the surroundings."""
    values = COMMON | changes
    places = {each.name: values.pop(each.name) for each in fields(Surroundings) if each.name in values}
    return inputs | {
        "checkpoint": checkpoint,
        "previous": values.pop("previous", None),
        "settings": made(SegmentSettings, values),
        "surroundings": Surroundings(**places),
    }


def digests(directory: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(directory.iterdir())}


def options(inputs: dict, **changes) -> list[str]:
    """The command line of scripts/pretrain/pretrain.py."""
    arguments = []
    for key, value in {**inputs, **COMMON, **changes}.items():
        text = str(value) if isinstance(value, Path | str) else json.dumps(value)
        arguments += [f"--{key.replace('_', '-')}", text]
    return arguments


def start(inputs: dict, checkpoint: Path, faults: dict | None = None, **changes) -> subprocess.Popen:
    """The script in a process of its own, with what tests/llm/pretrain/faulty.py does to it."""
    checkpoint.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "tests/llm/pretrain/faulty.py", *options(inputs, checkpoint=checkpoint, **changes)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "FAULTS": json.dumps(faults or {}), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen) -> tuple[int, str, str]:
    """(exit status, stdout, stderr)."""
    try:
        out, err = process.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        raise
    return process.returncode, out, err


def train(inputs: dict, checkpoint: Path, faults: dict | None = None, **changes) -> tuple[dict, str]:
    """Runs to its end, which must be a good one: (metrics, stderr)."""
    status, out, err = ended(start(inputs, checkpoint, faults, **changes))
    assert status == 0, err
    return json.loads(out.splitlines()[-1]), err
