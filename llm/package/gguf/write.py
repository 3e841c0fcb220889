"""Writes a model directory as one GGUF file, through the gguf package, in a type of the caller's choice.

Matrices have the type; norms, biases and learned positions stay fp32, and so does what is too narrow for its blocks of
32. The embedding and the output layer of four- and five-bit files are q8_0, as llama.cpp's own tool keeps them larger.
Equal models give equal bytes.
"""

from pathlib import Path

import torch
from gguf import GGUFWriter
from gguf.constants import GGMLQuantizationType, LlamaFileType
from gguf.quants import quantize

from llm.errors import InputError
from llm.model.config import ModelConfig
from llm.model.directory import WEIGHTS_NAME, by_our_names, load_config, read_tensors
from llm.model.positions import llama3_frequencies
from llm.package.gguf.architectures import ARCHITECTURES
from llm.package.gguf.tensors import to_gguf
from llm.package.gguf.vocabulary import vocabulary_of
from llm.tokenize.open import open_tokenizer

TYPES = {
    "f32": (GGMLQuantizationType.F32, LlamaFileType.ALL_F32),
    "f16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "bf16": (GGMLQuantizationType.BF16, LlamaFileType.MOSTLY_BF16),
    "q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
    "q5_1": (GGMLQuantizationType.Q5_1, LlamaFileType.MOSTLY_Q5_1),
    "q5_0": (GGMLQuantizationType.Q5_0, LlamaFileType.MOSTLY_Q5_0),
    "q4_1": (GGMLQuantizationType.Q4_1, LlamaFileType.MOSTLY_Q4_1),
    "q4_0": (GGMLQuantizationType.Q4_0, LlamaFileType.MOSTLY_Q4_0),
}
EXACT = ("f32", "f16", "bf16")
BLOCK = 32
LOOKED_UP = ("token_embd.weight", "output.weight")


def write_gguf(directory: Path, path: Path, kind: str, name: str) -> dict[str, int]:
    """Write the model of a directory to `path`; return how many tensors have each type. Raises InputError for an
    architecture that llama.cpp does not compute."""
    if kind not in TYPES:
        raise InputError(f"gguf: type {kind!r} is not one of {', '.join(TYPES)}; the gguf package writes no others")
    config = load_config(directory / "config.json")
    architecture = architecture_of(config)
    writer = begun(directory, path, config, TYPES[kind][1], name)
    ours = by_our_names(config, read_tensors(directory / WEIGHTS_NAME))
    tensors = to_gguf(architecture, config, ours) | scaled_frequencies(config)
    counts: dict[str, int] = {}
    for key, tensor in tensors.items():
        chosen = type_of(key, tensor, kind)
        counts[chosen.name] = counts.get(chosen.name, 0) + 1
        value = tensor.float().contiguous().numpy()
        if chosen == GGMLQuantizationType.F32:
            writer.add_tensor(key, value)
        else:
            writer.add_tensor(key, quantize(value, chosen), raw_dtype=chosen)
    finish(writer)
    return counts


def begun(directory: Path, path: Path, config: ModelConfig, file_type: LlamaFileType, name: str) -> GGUFWriter:
    """Begin a file: architecture, tokenizer and what the file is called."""
    writer = GGUFWriter(path, architecture_of(config))
    writer.add_name(name)
    writer.add_file_type(file_type)
    add_config(writer, architecture_of(config), config)
    for key, value in vocabulary_of(open_tokenizer(directory), config.vocab_size).items():
        add(writer, f"tokenizer.{key}", value)
    return writer


def finish(writer: GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def type_of(name: str, tensor: torch.Tensor, kind: str) -> GGMLQuantizationType:
    if tensor.ndim < 2 or name == "position_embd.weight":
        return GGMLQuantizationType.F32
    if kind not in EXACT and tensor.shape[-1] % BLOCK:
        return GGMLQuantizationType.F32
    if kind.startswith(("q4", "q5")) and name in LOOKED_UP:
        return GGMLQuantizationType.Q8_0
    return TYPES[kind][0]


def architecture_of(config: ModelConfig) -> str:
    """Return GGUF's name. Raises InputError for what llama.cpp computes differently or not at all."""
    family = config.family
    if family not in ARCHITECTURES:
        raise InputError("gguf: no architecture of llama.cpp computes this model; see `hugging_face` in its record")
    for field, value in ARCHITECTURES[family].fixed.items():
        if getattr(config, field) != value:
            raise InputError(f"gguf: llama.cpp's {family} has {field}: {value}, this model {getattr(config, field)}")
    scaling = config.rope_scaling or {}
    if scaling.get("rope_type") == "dynamic" or {"attention_factor", "beta_fast", "beta_slow"} & scaling.keys():
        raise InputError(f"gguf: model.rope_scaling {scaling} has no key in GGUF; choose linear, yarn or llama3")
    return family


def add_config(writer: GGUFWriter, architecture: str, config: ModelConfig) -> None:
    known = ARCHITECTURES[architecture]
    for key, field in known.keys.items():
        add(writer, f"{architecture}.{key}", getattr(config, field))
    for key, value in known.stated.items():
        add(writer, f"{architecture}.{key}", value)
    writer.add_vocab_size(config.vocab_size)
    scaling = config.rope_scaling or {}
    if scaling.get("rope_type") in ("linear", "yarn"):
        add(writer, f"{architecture}.rope.scaling.type", scaling["rope_type"])
        add(writer, f"{architecture}.rope.scaling.factor", scaling["factor"])
    if scaling.get("rope_type") == "yarn":
        original = scaling["original_max_position_embeddings"]
        add(writer, f"{architecture}.rope.scaling.original_context_length", original)


def scaled_frequencies(config: ModelConfig) -> dict[str, torch.Tensor]:
    """Return what divides each pair's frequency, the tensor by which GGUF states Llama 3's scaling."""
    scaling = config.rope_scaling or {}
    if scaling.get("rope_type") != "llama3":
        return {}
    plain_P = 1.0 / config.rope_theta ** (torch.arange(0, config.d_head, 2, dtype=torch.float32) / config.d_head)
    return {"rope_freqs.weight": plain_P / llama3_frequencies(plain_P, scaling)}


def add(writer: GGUFWriter, key: str, value: object) -> None:
    """Add a value of metadata by its Python type."""
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)
        case list():
            writer.add_array(key, value)
        case _:
            raise TypeError(f"{key}: {value!r}")
