"""What other tools compute of this project's exports: every family and format, in environments of their own.

    python -m benchmarks.exports --vllm VENV/bin/python --llama VENV/bin/python --gptqmodel VENV/bin/python

Small models with random weights are written as Hugging Face directories, quantized, and as GGUF; each reader gives the
log-probability of 23 tokens of one sequence, and the largest distance from ours, in fp32, is printed as a line of JSON.
transformers with compressed-tensors is in this project's own environment. A reader that refuses is quoted.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from llm.deploy.quantize.gguf import write_packed_gguf
from llm.deploy.quantize.model import load_any
from llm.deploy.quantize.write import write_quantized
from llm.deploy.settings.quantize import Method
from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM
from llm.package.gguf.write import write_gguf
from llm.package.hf_directory import write_directory
from llm.package.importing.read import read_model
from llm.tokenize.export import write_merges, write_tokenizer_config, write_tokenizer_json, write_vocab
from llm.tokenize.load import Tokenizer
from llm.tokenize.train import train

VOCABULARY = 400
SIZES: dict = {"d_model": 192, "n_layers": 2, "n_heads": 6, "n_kv_heads": 2, "d_head": 32, "d_ff": 384}
OLD: dict = {"n_kv_heads": 6, "norm": "layernorm", "bias": True, "activation": "gelu_tanh"}
FAMILIES: dict[str, dict] = {
    "llama": {},
    "qwen2": {"qkv_bias": True},
    "qwen3": {"qk_norm": True},
    "gpt2": OLD | {"position": "learned"},
    "bloom": OLD | {"position": "alibi", "embedding_norm": True, "d_ff": 768},
    "mpt": {"n_kv_heads": 6, "norm": "layernorm", "activation": "gelu", "position": "alibi", "d_ff": 768},
}
INT4 = Method(bits=4, group_size=64)
METHODS = {
    "int8": Method(bits=8),
    "int8, dynamic inputs": Method(bits=8, activations="dynamic"),
    "int8, dynamic inputs, down kept": Method(bits=8, activations="dynamic", keep=("down_proj",)),
    "int8, static inputs": Method(bits=8, activations="static"),
    "int4": INT4,
    "int4 by channel": Method(bits=4),
    "int4, zero points": replace(INT4, symmetric=False),
    "int4, gptq layout": replace(INT4, format="gptq"),
    "int4, zero points, gptq layout": replace(INT4, symmetric=False, format="gptq"),
    "int8, gptq layout": Method(bits=8, format="gptq"),
}
LLAMALIKE = ("llama", "qwen2", "qwen3")  # whose names and layers are ours: the others are quantized for us alone
PACKED = ("int8", "int4", "int4, zero points")  # whose levels a GGUF can have
GGUF = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0")
TRANSFORMERS = """
import json, sys, torch
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
if sys.argv[3:]:
    from peft import PeftModel
    model = PeftModel.from_pretrained(model, sys.argv[3]).eval()
ids = torch.tensor([json.loads(sys.argv[2])])
with torch.no_grad():
    found = model(ids).logits[0, :-1].float().log_softmax(-1)
print(json.dumps(found.gather(1, ids[0, 1:, None])[:, 0].tolist()))
"""
VLLM = """
import json, os, sys
os.environ |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
os.environ["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
if __name__ == "__main__":
    from vllm import LLM, SamplingParams
    from vllm.lora.request import LoRARequest
    sizes = {"max_model_len": 64, "max_num_seqs": 2, "max_num_batched_tokens": 64}
    adapter = LoRARequest("adapter", 1, sys.argv[3]) if sys.argv[3:] else None
    sizes |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": 16} if adapter else {}
    model = LLM(sys.argv[1], enforce_eager=True, dtype=DTYPE, **sizes)
    ids = json.loads(sys.argv[2])
    asked = SamplingParams(max_tokens=1, prompt_logprobs=1, temperature=0)
    found = model.generate([{"prompt_token_ids": ids}], asked, lora_request=adapter)[0].prompt_logprobs
    print(json.dumps([at[token].logprob for token, at in zip(ids[1:], found[1:])]))
"""
LLAMA = """
import json, sys, numpy, llama_cpp
default = llama_cpp.llama_model_default_params
def as_stored():  # repacked for AMX, any model of four or eight bits ends llama.cpp by SIGILL (version 0.3.36)
    found = default()
    found.use_extra_bufts = False
    return found
llama_cpp.llama_cpp.llama_model_default_params = as_stored
model = llama_cpp.Llama(sys.argv[1], n_ctx=64, logits_all=True, verbose=False, n_threads=1)
ids = json.loads(sys.argv[2])
model.eval(ids)
logits = numpy.array(model.scores[: len(ids) - 1], dtype=numpy.float64)
logits -= numpy.log(numpy.exp(logits).sum(-1, keepdims=True))
print(json.dumps([row[token] for row, token in zip(logits.tolist(), ids[1:])]))
"""
GPTQMODEL = """
import json, sys, torch
from gptqmodel import BACKEND, GPTQModel
model = GPTQModel.load(sys.argv[1], device="cpu", backend=BACKEND.TORCH, dtype=torch.float16)
ids = torch.tensor([json.loads(sys.argv[2])])
with torch.no_grad():
    found = model(input_ids=ids).logits[0, :-1].float().log_softmax(-1)
print(json.dumps(found.gather(1, ids[0, 1:, None])[:, 0].tolist()))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("vllm", "llama", "gptqmodel"):
        parser.add_argument(f"--{name}", type=Path, help="a Python that has it")
    parser.add_argument("--transformers", type=Path, help="likewise", default=Path(sys.executable))
    parser.add_argument("--families", nargs="*", default=list(FAMILIES))
    parser.add_argument("--formats", nargs="*", help="all by default")
    given = parser.parse_args()
    readers = {"transformers": (given.transformers, TRANSFORMERS), "gptqmodel": (given.gptqmodel, GPTQMODEL)}
    readers |= {"vllm": (given.vllm, VLLM), "llama.cpp": (given.llama, LLAMA)}
    ids = torch.randint(8, VOCABULARY, (24,), generator=torch.Generator().manual_seed(1)).tolist()
    with tempfile.TemporaryDirectory() as scratch:
        for family in given.families:
            for format_, path in exports(Path(scratch), family, given.formats):
                ours = log_probabilities(path, ids)
                for reader, (python, code) in readers.items():
                    if python and reads(reader, format_):
                        show(family, format_, reader, ours, read(python, code, path, ids, format_))


def reads(reader: str, format_: str) -> bool:
    """Is a format what a reader is for?"""
    if reader in ("llama.cpp", "gptqmodel"):
        return ("gguf" in format_) if reader == "llama.cpp" else ("gptq layout" in format_)
    return "gguf" not in format_ and not (reader == "transformers" and "gptq layout" in format_)


def exports(scratch: Path, family: str, wanted: list[str] | None) -> Iterator[tuple[str, Path]]:
    """Yield each format of a family's model, and where it lies."""
    base = scratch / family
    base.mkdir()
    write_base(base, family)
    names = ["fp32", *(METHODS if family in LLAMALIKE else ()), *(f"gguf {kind}" for kind in GGUF)]
    names += [f"gguf of {name}" for name in PACKED]
    calibration_CT = torch.randint(8, VOCABULARY, (8, 32), generator=torch.Generator().manual_seed(2))
    for number, name in enumerate(name for name in names if wanted is None or name in wanted):
        target = scratch / f"{family}-{number}"
        if name == "fp32":
            target = base
        elif name.startswith("gguf of"):
            target.mkdir()
            method = METHODS[name.removeprefix("gguf of ")]
            write_quantized(base, target, method, calibration_CT, scratch / f"{target.name}-layers")
            write_packed_gguf(target, target.with_suffix(".gguf"), family)
            target = target.with_suffix(".gguf")
        elif name.startswith("gguf"):
            target = target.with_suffix(".gguf")
            write_gguf(base, target, name.removeprefix("gguf "), family)
        else:
            target.mkdir()
            write_quantized(base, target, METHODS[name], calibration_CT, scratch / f"{target.name}-layers")
        yield name, target


def write_base(directory: Path, family: str) -> None:
    """Write a random model and a tokenizer."""
    letters = torch.randint(97, 123, (200, 60), generator=torch.Generator().manual_seed(3)).tolist()
    texts = [" ".join(bytes(row[at : at + 5]).decode() for at in range(0, 60, 5)) for row in letters]
    (directory / "tokenizer.model").write_bytes(train(texts, vocab_size=VOCABULARY, character_coverage=1.0))
    tokenizer = Tokenizer(directory / "tokenizer.model")
    write_vocab(tokenizer, directory / "vocab.json")
    write_merges(tokenizer, directory / "merges.txt")
    write_tokenizer_json(tokenizer, directory / "tokenizer.json")
    write_tokenizer_config(directory / "tokenizer_config.json")
    model = CausalLM(ModelConfig(vocab_size=VOCABULARY, context_length=64, **(SIZES | FAMILIES[family])))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(float(weight.ndim == 1), 0.08, generator=generator)
    write_directory(directory, model.config.to_hf(), model.eval(), [])


def log_probabilities(path: Path, ids: list[int]) -> torch.Tensor:
    """Return ours, in fp32; of a GGUF, of the weights that stand in it."""
    if path.is_dir():
        model = load_any(path)
    else:
        with tempfile.TemporaryDirectory() as back:
            model = read_model(path, Path(back)).model
    tokens_T = torch.tensor(ids)
    with torch.no_grad():
        found_TV = model(tokens_T[None])[0, :-1].float().log_softmax(-1)
    return found_TV.gather(1, tokens_T[1:, None])[:, 0]


def read(
    python: Path, code: str, path: Path, ids: list[int], format_: str = "fp32", adapter: Path | None = None
) -> list[float] | str:
    """Return a reader's log-probabilities, of a model with an adapter where one is given, or the last line of what it
    says, or which signal ended it. vLLM's kernels of packed weights are for bf16 on a CPU."""
    code = code.replace("DTYPE", '"float32"' if format_ == "fp32" else '"bfloat16"')
    with tempfile.TemporaryDirectory() as scratch:
        script = Path(scratch) / "read.py"
        script.write_text(code)
        command = [str(python), str(script), str(path), json.dumps(ids), *([str(adapter)] if adapter else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return json.loads(done.stdout.strip().splitlines()[-1])
    if done.returncode < 0:
        return f"ended by {signal.Signals(-done.returncode).name}"
    errors = [line for line in done.stderr.splitlines() if "Error" in line or "error" in line]
    return (errors or done.stderr.splitlines())[-1][-300:]


def show(family: str, format_: str, reader: str, ours: torch.Tensor, theirs: list[float] | str) -> None:
    if isinstance(theirs, str):
        found: dict[str, object] = {"refused": theirs}
    else:
        apart = (torch.tensor(theirs) - ours).abs()
        found = {"largest": round(float(apart.max()), 6), "mean": round(float(apart.mean()), 6)}
    print(json.dumps({"family": family, "format": format_, "reader": reader} | found), flush=True)


if __name__ == "__main__":
    main()
