"""INT4 methods on an imported model, beside the GPTQ of llmcompressor and of GPTQModel: the same grids, calibration
tokens and scoring.

    OMP_NUM_THREADS=1 python -m benchmarks.quantization results/models/base --llmcompressor VENV/bin/python \\
        --gptqmodel VENV/bin/python

The calibration is drawn from one half of Python's reference (pydoc's topics); perplexity is scored on the other half,
and on a license, of which the calibration holds nothing. Seconds are CPU time of quantization, of all threads: without
imports and compilation, and for the peers without reading and writing the model, which ours count. Contenders take
turns.
"""

import argparse
import json
import pydoc_data.topics
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from llm.deploy.quantize.gptq import correction
from llm.deploy.quantize.group import quantize_matrix
from llm.deploy.quantize.hessian import hessian
from llm.deploy.quantize.model import load_any
from llm.deploy.quantize.quality import losses
from llm.deploy.quantize.write import write_quantized
from llm.deploy.settings.quantize import Method
from llm.model.transformer import CausalLM
from llm.tokenize.open import AnyTokenizer, open_tokenizer

LICENSE = Path("/usr/share/common-licenses/GPL-3")
INT4 = Method(bits=4, group_size=64)
METHODS = {
    "int8, per channel": Method(bits=8),
    "round to nearest, absmax": replace(INT4, scales="absmax"),
    "round to nearest, searched": INT4,
    "round to nearest, zero points": replace(INT4, symmetric=False),
    "awq, searched": replace(INT4, kind="awq"),
    "gptq, searched": replace(INT4, kind="gptq"),
    "gptq, zero points": replace(INT4, kind="gptq", symmetric=False),
    "gptq, searched, no shrinkage": replace(INT4, kind="gptq", shrinkage=0.0),
    "gptq, searched, no act-order": replace(INT4, kind="gptq", act_order=False),
    "gptq, searched, rotated": replace(INT4, kind="gptq", rotation=True),
    "int8, activations by token": Method(bits=8, activations="dynamic"),
    "int8, activations by token, rotated, gptq": Method(bits=8, activations="dynamic", kind="gptq", rotation=True),
    "int8, activations by token, rotated, gptq, down kept": Method(
        bits=8, activations="dynamic", kind="gptq", rotation=True, keep=("down_proj",)
    ),
    "int8, activations by token, not smoothed": Method(bits=8, activations="dynamic", smoothing=0),
    "int8, activations static": Method(bits=8, activations="static"),
}
LLMCOMPRESSOR = """
import sys, time, numpy, torch
from datasets import Dataset
from llmcompressor import oneshot
from llmcompressor.modifiers.quantization import GPTQModifier
from transformers import AutoModelForCausalLM, AutoTokenizer
source, tokens, target = sys.argv[1:]
rows = numpy.load(tokens)
model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
data = Dataset.from_dict({"input_ids": rows.tolist(), "attention_mask": numpy.ones_like(rows).tolist()})
weights = {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": 64, "actorder": "static"}
groups = {"group_0": {"targets": ["Linear"], "weights": weights}}
recipe = GPTQModifier(config_groups=groups, ignore=["lm_head"])
before = time.process_time()
oneshot(model=model, dataset=data, recipe=recipe, max_seq_length=rows.shape[1], num_calibration_samples=len(rows))
print("CPU", time.process_time() - before, flush=True)
model.save_pretrained(target, save_compressed=True)
"""
GPTQMODEL = """
import sys, time, numpy
from gptqmodel import GPTQModel, QuantizeConfig
source, tokens, target = sys.argv[1:]
rows = numpy.load(tokens).tolist()
model = GPTQModel.load(source, QuantizeConfig(bits=4, group_size=64, sym=True, device="cpu", offload_to_disk=False))
before = time.process_time()
model.quantize([{"input_ids": row, "attention_mask": [1] * len(row)} for row in rows], batch_size=1)
print("CPU", time.process_time() - before, flush=True)
model.save(target)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--llmcompressor", type=Path, help="a Python that has it")
    parser.add_argument("--gptqmodel", type=Path, help="a Python that has it")
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--sequences", type=int, default=32)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--scored", type=int, default=4096, help="tokens of each text")
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    given = parser.parse_args()
    tokenizer = open_tokenizer(given.model)
    texts = read_texts(tokenizer)
    compile_kernels()
    show("float", 0, 0.0, score(load_any(given.model), texts, given.scored, given.length))
    for seed in given.seeds:
        rows = drawn(texts["calibration"], seed, given.sequences, given.length)
        makers = {name: partial(ours, given.model, rows, METHODS[name]) for name in given.methods}
        for name, python, code in (
            ("llmcompressor", given.llmcompressor, LLMCOMPRESSOR),
            ("gptqmodel", given.gptqmodel, GPTQMODEL),
        ):
            if python:
                makers[f"{name}'s gptq"] = partial(peer, python, code, given.model, rows)
        for name, make in makers.items():
            with tempfile.TemporaryDirectory() as target:
                seconds = make(Path(target))
                show(name, seed, seconds, score(load_any(Path(target)).float(), texts, given.scored, given.length))


def read_texts(tokenizer: AnyTokenizer) -> dict[str, np.ndarray]:
    topics = [text for _, text in sorted(pydoc_data.topics.topics.items())]
    half = {"calibration": "\n".join(topics[::2]), "seen": "\n".join(topics[1::2])}
    half["unseen"] = LICENSE.read_text(encoding="utf-8")
    return {name: np.array(tokenizer.encode(text), dtype=np.int64) for name, text in half.items()}


def drawn(stream: np.ndarray, seed: int, sequences: int, length: int) -> torch.Tensor:
    """Return int64 [sequences, length]."""
    begins = np.random.Generator(np.random.PCG64(seed)).integers(0, len(stream) - length, sequences)
    return torch.from_numpy(np.stack([stream[begin : begin + length] for begin in begins]))


def compile_kernels() -> None:
    """Have numba compile what `ours` calls, or load it."""
    x_MK = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    h = hessian(x_MK)
    quantize_matrix(x_MK, METHODS["gptq, searched"], 64, h, correction(h))


def ours(model: Path, rows: torch.Tensor, method: Method, target: Path) -> float:
    """Quantize into `target`; return CPU seconds."""
    before = time.process_time()
    with tempfile.TemporaryDirectory() as scratch:
        write_quantized(model, target, method, rows, Path(scratch))
    return time.process_time() - before


def peer(python: Path, code: str, model: Path, rows: torch.Tensor, target: Path) -> float:
    """Have another tool do the same."""
    with tempfile.TemporaryDirectory() as scratch:
        tokens = Path(scratch) / "tokens.npy"
        np.save(tokens, rows.numpy())
        command = [str(python.absolute()), "-c", code, *(str(path.absolute()) for path in (model, tokens, target))]
        # There, since GPTQModel writes its log where it is called.
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"error: {python}: {done.stderr.strip()[-2000:]}")
    shutil.copy(model / "tokenizer.json", target)
    return float(next(line for line in done.stdout.splitlines() if line.startswith("CPU ")).split()[1])


def score(model: CausalLM, texts: dict[str, np.ndarray], scored: int, length: int) -> dict[str, float]:
    """Return the perplexity of the beginning of each text."""
    found = {}
    for name in ("seen", "unseen"):
        windows = texts[name][: scored + 1]
        nats = [losses(model, torch.from_numpy(windows[begin : begin + length + 1])[None])
                for begin in range(0, len(windows) - 1, length)]  # fmt: skip
        found[name] = float(torch.cat(nats).double().mean().exp())
    return found


def show(name: str, seed: int, seconds: float, found: dict[str, float]) -> None:
    print(json.dumps({"method": name, "seed": seed, "cpu_s": round(seconds, 1)} | found), flush=True)


if __name__ == "__main__":
    main()
