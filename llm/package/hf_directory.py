"""Writes Hugging Face model directories, derives one from another, and counts every matrix in them.

    config.json  generation_config.json  model.safetensors  tokenizer.model  vocab.json  merges.txt  tokenizer.json
    tokenizer_config.json (holds the chat template)

Every model that leaves a stage (base, merged, quantized) is such a directory.
"""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import torch

from llm.errors import InputError
from llm.io.json import write_json
from llm.model.config import ModelConfig, has_beta
from llm.model.counts import parameter_counts
from llm.model.directory import CONFIG_NAME
from llm.model.tensor_names import to_family
from llm.model.transformer import CausalLM
from llm.package.settings import PackageSettings
from llm.package.shards import write_shards

GENERATION_CONFIG_NAME = "generation_config.json"
TOKENIZER_CONFIG_NAME = "tokenizer_config.json"
# The module of a tensor -> its block in `parameter_counts`.
BLOCK_OF = {
    "embed_tokens": "embedding",
    "embed_positions": "positions",
    "q_proj": "query",
    "k_proj": "key",
    "v_proj": "value",
    "o_proj": "output",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
    "lm_head": "lm_head",
    "input_layernorm": "norms",
    "post_attention_layernorm": "norms",
    "q_norm": "norms",
    "k_norm": "norms",
    "embed_norm": "norms",
    "norm": "norms",
}
NEEDED_NAMES = ("tokenizer.json", "tokenizer_config.json")
TOKENIZER_NAMES = ("tokenizer.model", "vocab.json", "merges.txt", *NEEDED_NAMES)


def write_directory(
    directory: Path,
    config: dict,
    model: CausalLM,
    tokenizer_files: Iterable[Path],
    settings: PackageSettings = PackageSettings(),  # noqa: B008 (frozen)
) -> None:
    """Fill the existing `directory`. `config`: config.json as a dict, kept key by key."""
    write_configs(directory, config)
    write_weights(directory, config, model, settings)
    copy_files(tokenizer_files, directory)
    state_length(directory / TOKENIZER_CONFIG_NAME, model.config.context_length)


def write_weights(directory: Path, config: dict, model: CausalLM, settings: PackageSettings) -> None:
    """Write the weights, in their own dtypes, by the names of config.json's family."""
    tensors = to_family(config["model_type"], model.config.n_heads, model.state_dict())
    write_shards(tensors.items(), directory, settings.shard_bytes)


def state_length(tokenizer_config: Path, context_length: int) -> None:
    """Write into tokenizer_config.json how many tokens the model takes, unless that stands there: transformers'
    `truncation=True` cuts there. A tokenizer that was trained here knows of no model."""
    stated = json.loads(tokenizer_config.read_text(encoding="utf-8"))
    if "model_max_length" not in stated:
        write_json(tokenizer_config, stated | {"model_max_length": context_length})


def write_configs(directory: Path, config: dict) -> None:
    """Write config.json as given, and the generation_config.json that follows from it: greedy, ends at [EOS]."""
    generation = {key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")} | {"do_sample": False}
    write_json(directory / CONFIG_NAME, config)
    write_json(directory / GENERATION_CONFIG_NAME, generation)


def tokenizer_files_of(directory: Path) -> list[Path]:
    """Return the tokenizer's files in a model directory; a model from elsewhere has the NEEDED ones alone. Raises
    InputError, which names a missing one."""
    names = TOKENIZER_NAMES if (directory / TOKENIZER_NAMES[0]).is_file() else NEEDED_NAMES
    for name in names:
        if not (directory / name).is_file():
            raise InputError(f"{directory / name} is missing: a model directory holds its tokenizer; package it again")
    return [directory / name for name in names]


def copy_files(files: Iterable[Path], directory: Path) -> None:
    """Copy the files' contents, without times and modes."""
    for file in files:
        shutil.copyfile(file, directory / file.name)


def check_vocabulary(config: ModelConfig, vocab: Path) -> None:
    """Raise InputError unless `vocab` (vocab.json) has an id for every row of the embedding and none beyond."""
    size = len(json.loads(vocab.read_text(encoding="utf-8")))
    if size != config.vocab_size:
        raise InputError(
            f"{vocab} has {size} tokens, config.json says {config.vocab_size}: "
            "the model was made with another tokenizer; build both from the same one"
        )


def inventory(config: ModelConfig, tensors: dict[str, torch.Tensor]) -> dict[str, dict]:
    """Return every tensor of a state dict (our names) by block: how many matrices, one's shape, parameters and bytes,
    biases included, and what the formula expects. Raises InputError for a tensor that belongs to no block."""
    counts, texts = parameter_counts(config), formulas(config)
    members: dict[str, list[str]] = {block: [] for block in texts}
    for name in sorted(tensors):
        module = name.split(".")[-2]
        if BLOCK_OF.get(module) not in members:
            raise InputError(f"{name} belongs to no block of this architecture; is this checkpoint of another model?")
        members[BLOCK_OF[module]].append(name)
    result = {}
    for block, names in members.items():
        matrices = [name for name in names if name.endswith(".weight")]
        result[block] = {
            "matrices": len(matrices),
            "shape": list(tensors[matrices[0]].shape) if matrices else [],
            "parameters": sum(tensors[name].numel() for name in names),
            "formula": texts[block],
            "expected": counts[block],
            "bytes": sum(tensors[name].numel() * tensors[name].element_size() for name in names),
        }
    return result


def formulas(config: ModelConfig) -> dict[str, str]:
    """Return the formula of each block's parameters (llm.model.counts.parameter_counts), for blocks that exist.

    V vocabulary, T context, d d_model, H n_heads, K n_kv_heads, h d_head, f d_ff, L layers. A bias adds one row to its
    matrix. LayerNorm's beta doubles the norms where there are biases; RMSNorm has none.
    """
    row = "(d + 1)" if config.bias else "d"
    qkv = "(d + 1)" if config.bias or config.qkv_bias else "d"
    norms = f"(2 L + {n})" if (n := (config.norm_order == "pre") + config.embedding_norm) else "2 L"
    texts = {"embedding": "V d"}
    if config.position == "learned":
        texts["positions"] = "T d"
    texts |= {"query": f"L {qkv} H h", "key": f"L {qkv} K h", "value": f"L {qkv} K h"}
    texts["output"] = "L (H h + 1) d" if config.bias else "L H h d"
    if config.activation == "swiglu":
        texts["ffn_gate"] = f"L {row} f"
    texts |= {"ffn_up": f"L {row} f", "ffn_down": "L (f + 1) d" if config.bias else "L f d"}
    texts["norms"] = f"{norms} {'2 d' if has_beta(config) else 'd'}" + (" + 2 L h" if config.qk_norm else "")
    texts["lm_head"] = "0, tied" if config.tie_embeddings else "V d"
    return texts


def directory_bytes(directory: Path) -> int:
    """Return the size in bytes of the weights files, by which quantized models are compared."""
    return sum(path.stat().st_size for path in directory.glob("*.safetensors"))
