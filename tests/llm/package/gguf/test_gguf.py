"""GGUF files of every family: read back as they were written, quantized as ggml does, and read by llama.cpp."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from llm.errors import InputError
from llm.model.directory import load_model
from llm.package.gguf.write import write_gguf
from llm.package.importing.read import read_model
from llm.tokenize.byte_level import to_model
from llm.tokenize.export import write_merges, write_tokenizer_config, write_tokenizer_json, write_vocab
from llm.tokenize.load import Tokenizer
from llm.tokenize.open import open_tokenizer
from llm.tokenize.train_byte_level import train_bytes
from scripts.package import export_gguf
from tests.llm.conftest import texts

READERS = Path(__file__).resolve().parents[4] / ".venv/readers/bin/python"
SIZES = {"d_model": 96, "n_heads": 6, "n_kv_heads": 2, "d_head": 16, "d_ff": 192}
OLD = {"n_kv_heads": 6, "norm": "layernorm", "bias": True, "activation": "gelu_tanh"}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 16}  # fmt: skip
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
FAMILIES: dict[str, dict] = {
    "llama": {},
    "llama, untied": {"tie_embeddings": False, "n_kv_heads": 6},
    "llama, biases": {"bias": True},
    "llama, linear": {"rope_scaling": {"rope_type": "linear", "factor": 4.0}},
    "llama, yarn": {"rope_scaling": YARN},
    "llama, llama3": {"rope_scaling": LLAMA3},
    "qwen2": {"qkv_bias": True},
    "qwen3": {"qk_norm": True},
    "gpt2": OLD | {"position": "learned"},
    "bloom": OLD | {"position": "alibi", "embedding_norm": True, "d_ff": 384},
    "mpt": {"n_kv_heads": 6, "norm": "layernorm", "activation": "gelu", "position": "alibi", "d_ff": 384},
}
TEXT = "Etaoin shrdlu\n\n 12 ok ÄÖ日本 " + texts()[3]
# How far log-probabilities in llama.cpp may lie from ours in fp32. (Its mpt has the tanh form of GELU.)
NEAR = {"f16": 1e-3, "bf16": 4e-3, "q8_0": 4e-3}  # of weights of 0.15
TOLERANCES = {"f32": 0.02, "f16": 0.04, "q8_0": 0.8}


@pytest.fixture
def byte_level(tmp_path: Path) -> list[Path]:
    """The files of a byte-level tokenizer of 400 ids, which the vocabulary of random models has too."""
    directory = tmp_path / "bytes"
    directory.mkdir()
    model = directory / "tokenizer.model"
    model.write_bytes(to_model(train_bytes(texts(), vocab_size=400, first_id=8), 8))
    tokenizer = Tokenizer(model)
    write_vocab(tokenizer, directory / "vocab.json")
    write_merges(tokenizer, directory / "merges.txt")
    write_tokenizer_json(tokenizer, directory / "tokenizer.json")
    write_tokenizer_config(directory / "tokenizer_config.json")
    return sorted(directory.iterdir())


def exported(base: Path, kind: str) -> Path:
    path = base.parent / f"{kind}.gguf"
    export_gguf.main(base, path, name="test", type=kind)
    return path


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "llama, llama3"])
@pytest.mark.parametrize("bytewise", [False, True])
def test_a_file_is_read_back_as_it_was_written(
    family: str, bytewise: bool, hf_directory: Callable[..., Path], byte_level: list[Path], tmp_path: Path
) -> None:
    base = hf_directory("base", **SIZES | FAMILIES[family])
    for file in byte_level if bytewise else []:
        (base / file.name).write_bytes(file.read_bytes())
    (tmp_path / "back").mkdir()
    found = read_model(exported(base, "f32"), tmp_path / "back")
    want = load_model(base)
    assert found.model.config == want.config
    for name, weight in want.state_dict().items():
        assert torch.equal(found.model.state_dict()[name], weight), name
    one, two = open_tokenizer(base), open_tokenizer(tmp_path / "back")
    assert one.encode(TEXT) == two.encode(TEXT)
    assert two.decode(two.encode(TEXT)) == TEXT
    assert (one.bos, one.eos, one.pad) == (two.bos, two.eos, two.pad)


def test_types_are_ggml_s_and_bytes_repeat(hf_directory: Callable[..., Path]) -> None:
    base = hf_directory("base", **SIZES)
    weight = load_model(base).model.layers[0].mlp.up_proj.weight.detach().numpy()
    for kind in ("f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"):
        file = exported(base, kind)
        first = file.read_bytes()
        assert exported(base, kind).read_bytes() == first
        tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(file).tensors}
        found = tensors["blk.0.ffn_up.weight"]
        assert found.tensor_type.name.lower() == kind
        back = gguf.quants.dequantize(found.data, found.tensor_type)
        assert np.abs(back - weight).max() < NEAR.get(kind, 0.1)
        assert tensors["blk.0.attn_norm.weight"].tensor_type.name == "F32"


def test_scaled_frequencies_are_written_not_read(hf_directory: Callable[..., Path], tmp_path: Path) -> None:
    file = exported(hf_directory("base", **SIZES, rope_scaling=LLAMA3), "f16")
    assert "rope_freqs.weight" in {tensor.name for tensor in gguf.GGUFReader(file).tensors}
    with pytest.raises(InputError, match="import the model's Hugging Face directory"):
        read_model(file, tmp_path)


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({}, "q4_k", "type 'q4_k' is not one of"),
        ({"norm_order": "post"}, "f16", "no architecture of llama.cpp"),
        (OLD | {"position": "learned", "activation": "relu"}, "f16", "gpt2 has activation: gelu_tanh, this model relu"),
        ({"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, "f16", "has no key in GGUF"),
    ],
)
def test_what_llama_cpp_does_not_compute_is_refused(
    changes: dict, kind: str, words: str, hf_directory: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        write_gguf(hf_directory("base", **SIZES | changes), tmp_path / "x.gguf", kind, "x")


# Weights stay as stored: repacked for AMX, any model of four or eight bits ends llama.cpp 0.3.36 by SIGILL.
READ = """
import json, sys, numpy, llama_cpp
path, text, ids = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
default = llama_cpp.llama_model_default_params
def as_stored():
    found = default()
    found.use_extra_bufts = False
    return found
llama_cpp.llama_cpp.llama_model_default_params = as_stored
model = llama_cpp.Llama(path, n_ctx=64, logits_all=True, verbose=False, n_threads=1)
model.eval(ids)
found = model.tokenize(text.encode(), add_bos=False, special=False)
logits = numpy.array(model.scores[: len(ids)])
print(json.dumps({"ids": found, "logits": logits.tolist()}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not READERS.exists(), reason="make readers sets up llama.cpp")
@pytest.mark.parametrize("kind", TOLERANCES)
@pytest.mark.parametrize("family", FAMILIES)
def test_llama_cpp_computes_the_same(
    family: str, kind: str, hf_directory: Callable[..., Path], byte_level: list[Path]
) -> None:
    base = hf_directory("base", **SIZES | FAMILIES[family])
    for file in byte_level if family in ("qwen2", "gpt2") else []:
        (base / file.name).write_bytes(file.read_bytes())
    tokenizer = open_tokenizer(base)
    ids = torch.randint(8, 400, (1, 24), generator=torch.Generator().manual_seed(1))
    command = [READERS, "-c", READ, exported(base, kind), TEXT, json.dumps(ids[0].tolist())]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert told["ids"] == tokenizer.encode(TEXT)
    with torch.no_grad():
        ours = load_model(base)(ids)[0].log_softmax(-1)
    theirs = torch.tensor(told["logits"]).log_softmax(-1)
    assert (ours - theirs).abs().max() < TOLERANCES[kind]
    assert len(set(theirs.argmax(-1).tolist())) > 5  # it says something
