"""A Hugging Face model directory: writes it, derives one from another, and counts every matrix in it.

    config.json  generation_config.json  model.safetensors  tokenizer.model  vocab.json  merges.txt  tokenizer.json
    tokenizer_config.json (holds the chat template)

Every model that leaves a stage (base, merged, quantized) is such a directory. Does not train, merge or quantize.
"""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import torch

from llm.errors import InputError
from llm.model.config import ModelConfig
from llm.model.directory import save_weights
from llm.model.transformer import CausalLM

CONFIG_NAME = "config.json"
GENERATION_CONFIG_NAME = "generation_config.json"
WEIGHTS_NAME = "model.safetensors"
TOKENIZER_NAMES = ("tokenizer.model", "vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json")


def write_directory(directory: Path, config: dict, model: CausalLM, tokenizer_files: Iterable[Path]) -> None:
    """Fill the existing `directory`. `config` is the LlamaConfig as a dict, kept key by key."""
    write_configs(directory, config)
    save_weights(model, directory / WEIGHTS_NAME)
    copy_files(tokenizer_files, directory)


def write_configs(directory: Path, config: dict) -> None:
    """config.json as given, and the generation_config.json that follows from it: greedy, ends at [EOS]."""
    generation = {key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")} | {"do_sample": False}
    write_json(directory / CONFIG_NAME, config)
    write_json(directory / GENERATION_CONFIG_NAME, generation)


def tokenizer_files_of(directory: Path) -> list[Path]:
    """The tokenizer's files in a model directory. InputError names the one that is missing."""
    for name in TOKENIZER_NAMES:
        if not (directory / name).is_file():
            raise InputError(f"{directory / name} is missing: a model directory holds its tokenizer; package it again")
    return [directory / name for name in TOKENIZER_NAMES]


def copy_files(files: Iterable[Path], directory: Path) -> None:
    """Contents only, no times or modes."""
    for file in files:
        shutil.copyfile(file, directory / file.name)


def read_config(directory: Path) -> dict:
    """config.json as it stands, keys unknown to ModelConfig included."""
    path = directory / CONFIG_NAME
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; a model directory holds {CONFIG_NAME} and {WEIGHTS_NAME}") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not valid JSON ({error}); build it again") from error


def write_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def check_vocabulary(config: ModelConfig, vocab: Path) -> None:
    """InputError unless `vocab` (vocab.json) has an id for every row of the embedding and none beyond."""
    size = len(json.loads(vocab.read_text(encoding="utf-8")))
    if size != config.vocab_size:
        raise InputError(
            f"{vocab} has {size} tokens, config.json says {config.vocab_size}: "
            "the model was made with another tokenizer; build both from the same one"
        )


def inventory(config: ModelConfig, tensors: dict[str, torch.Tensor]) -> dict[str, dict]:
    """Every matrix of a state dict by block: how many, one's shape, parameters and bytes, and what the formula expects.

    V vocabulary, d d_model, H n_heads, K n_kv_heads, h d_head, f d_ff, L layers. RMSNorm has no beta, hence (2L+1)d
    where LayerNorm would have twice that. InputError for a tensor that belongs to no block.
    """
    v, d, f, n_layers = config.vocab_size, config.d_model, config.d_ff, config.n_layers
    q_width, kv_width = config.n_heads * config.d_head, config.n_kv_heads * config.d_head
    formulas = {
        "embedding": ("embed_tokens", "V d", v * d),
        "query": ("q_proj", "L d H h", n_layers * d * q_width),
        "key": ("k_proj", "L d K h", n_layers * d * kv_width),
        "value": ("v_proj", "L d K h", n_layers * d * kv_width),
        "output": ("o_proj", "L H h d", n_layers * q_width * d),
        "ffn_gate": ("gate_proj", "L d f", n_layers * d * f),
        "ffn_up": ("up_proj", "L d f", n_layers * d * f),
        "ffn_down": ("down_proj", "L f d", n_layers * f * d),
        "norms": ("norm", "(2 L + 1) d", (2 * n_layers + 1) * d),
        "lm_head": ("lm_head", "0, tied" if config.tie_embeddings else "V d", 0 if config.tie_embeddings else v * d),
    }
    members: dict[str, list[torch.Tensor]] = {block: [] for block in formulas}
    block_of = {module: block for block, (module, _, _) in formulas.items()}
    block_of |= {"input_layernorm": "norms", "post_attention_layernorm": "norms"}
    for name in sorted(tensors):
        module = name.split(".")[-2]
        if module not in block_of:
            raise InputError(f"{name} belongs to no block of a Llama model; is this checkpoint of another family?")
        members[block_of[module]].append(tensors[name])
    return {
        block: {
            "matrices": len(members[block]),
            "shape": list(members[block][0].shape) if members[block] else [],
            "parameters": sum(tensor.numel() for tensor in members[block]),
            "formula": formula,
            "expected": expected,
            "bytes": sum(tensor.numel() * tensor.element_size() for tensor in members[block]),
        }
        for block, (_, formula, expected) in formulas.items()
    }


def directory_bytes(directory: Path) -> int:
    """Size of the weights files, which is what a quantized model is compared by."""
    return sum(path.stat().st_size for path in directory.glob("*.safetensors"))
