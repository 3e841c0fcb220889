"""Peak memory of quantization on generated weights of Llama 7B's layers: does it grow with the number of layers?

    python -m benchmarks.quantize_memory --layers 2 4 --kind gptq

Each model (bf16, in one file) is quantized in a process of its own, whose peak of resident memory is printed beside one
block's bytes in fp32 and what its Hessians take. --scale divides d_model, d_ff and the heads.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import save_file

from llm.deploy.quantize.write import write_quantized
from llm.deploy.settings.quantize import Method
from llm.io.json import write_json
from llm.model.config import ModelConfig
from llm.model.directory import CONFIG_NAME, WEIGHTS_NAME, empty_model

SEVEN: dict = {"vocab_size": 32000, "d_model": 4096, "n_heads": 32, "d_ff": 11008}
TOKENS = (4, 128)  # of the calibration: sequences, their length


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--kind", choices=["rtn", "gptq", "awq"], default="gptq")
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--one", type=Path, help="quantize this directory, and nothing else")
    given = parser.parse_args()
    if given.one:
        quantize(given.one, given.kind)
        return
    for layers in given.layers:
        with tempfile.TemporaryDirectory() as scratch:
            config = sizes(layers, given.scale)
            write_model(Path(scratch), config)
            command = [sys.executable, "-m", "benchmarks.quantize_memory", "--one", scratch, "--kind", given.kind]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
            if done.returncode:
                sys.exit(f"error: quantization ended with {done.returncode}")
            block = 4 * config.d_model * (4 * config.d_model + 3 * config.d_ff)
            found = {"layers": layers, "kind": given.kind, "block_fp32": block}
            found |= {"hessian_fp32": 4 * config.d_ff**2, "file": (Path(scratch) / WEIGHTS_NAME).stat().st_size}
            print(json.dumps(found | json.loads(done.stdout.splitlines()[-1])), flush=True)


def sizes(layers: int, scale: int) -> ModelConfig:
    small = {key: value // scale for key, value in SEVEN.items() if key != "vocab_size"}
    return ModelConfig(
        **SEVEN | small, n_layers=layers, n_kv_heads=small["n_heads"], d_head=128, context_length=256,
        tie_embeddings=False,
    )  # fmt: skip


def write_model(directory: Path, config: ModelConfig) -> None:
    """Write random weights without a tokenizer's vocabulary."""
    generator = torch.Generator().manual_seed(0)
    tensors = {
        name: torch.randn(shape.shape, generator=generator).mul_(0.02).bfloat16() + float(shape.ndim == 1)
        for name, shape in empty_model(config).state_dict().items()
    }
    save_file(tensors, directory / WEIGHTS_NAME)
    write_json(directory / CONFIG_NAME, config.to_hf())
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (directory / name).write_text("{}")


def quantize(model: Path, kind: Literal["rtn", "gptq", "awq"]) -> None:
    config = ModelConfig.from_hf(json.loads((model / CONFIG_NAME).read_text()))
    rows = torch.randint(8, config.vocab_size, TOKENS, generator=torch.Generator().manual_seed(1))
    target = model / "quantized"
    target.mkdir()
    imports = peak()
    write_quantized(model, target, Method(bits=4, group_size=64, kind=kind), rows, model / "layers")
    print(json.dumps({"imports": imports, "peak": peak(), "cpu_s": round(time.process_time(), 1)}))


def peak() -> int:
    """Return how much memory this process had at most, in bytes. What getrusage says of a child begins with what its
    parent had."""
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])  # type: ignore[index]


if __name__ == "__main__":
    main()
