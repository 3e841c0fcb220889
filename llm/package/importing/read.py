"""Reads a found model, a Hugging Face directory or a GGUF file, and checks that its parts belong together."""

from dataclasses import dataclass
from pathlib import Path

import torch

from llm.errors import InputError
from llm.io.json import pretty
from llm.model.config import ModelConfig
from llm.model.directory import INDEX, empty_model, load_config, read_config, read_tensors, set_weights, shard_names
from llm.model.tensor_names import to_ours as by_family
from llm.model.transformer import CausalLM
from llm.package.gguf.architectures import config_of
from llm.package.gguf.read import read_gguf
from llm.package.gguf.tensors import to_ours
from llm.package.gguf.vocabulary import read_tokenizer
from llm.tokenize.hub import CONFIG_FILE, FILE, HubTokenizer, read_fast, read_settings
from llm.tokenize.open import check_fits

TEMPLATE_FILE = "chat_template.jinja"


@dataclass(frozen=True)
class Found:
    """model: with its weights, in the dtype that they had. form: "gguf" or "safetensors". stored: type -> how many
    tensors the source has of it. about: what the source says of itself (name, organization, license)."""

    model: CausalLM
    form: str
    stored: dict[str, int]
    about: dict[str, str]


def read_model(place: Path, directory: Path) -> Found:
    """Read the model at `place` and write its tokenizer to `directory`. Raises InputError, one line, for a family that
    is not known, parts that do not fit, and weights that are not finite."""
    found = from_gguf(place, directory) if place.is_file() else from_directory(place, directory)
    for name, weight in found.model.state_dict().items():
        if not torch.isfinite(weight).all():
            raise InputError(f"{place.name}: {name} holds values that are not finite (NaN or infinite); it is damaged")
    return found


def from_directory(place: Path, directory: Path) -> Found:
    """Read a Hugging Face directory."""
    config = load_config(place / "config.json")
    tensors = all_tensors(place)
    dtypes = {tensor.dtype for tensor in tensors.values()}
    unknown = sorted(str(dtype) for dtype in dtypes if not dtype.is_floating_point or dtype.itemsize < 2)  # float8
    if unknown or "quantization_config" in read_config(place / "config.json"):
        raise InputError(f"{place.name}: its weights are quantized ({', '.join(unknown)}); import the original model")
    check_tied(config, tensors, place)
    model = filled(config, tensors, place, dtypes.pop() if len(dtypes) == 1 else torch.float32)
    check_fits(HubTokenizer(place), config.vocab_size, place)  # before it is written: that would list 2^31 ids
    settings = read_settings(place / CONFIG_FILE)
    if template := chat_template(settings, place):
        settings["chat_template"] = template
    write_tokenizer(directory, read_fast(place / FILE).to_str(pretty=True), settings)
    stored: dict[str, int] = {}
    for tensor in tensors.values():
        kind = str(tensor.dtype).removeprefix("torch.")
        stored[kind] = stored.get(kind, 0) + 1
    return Found(model, "safetensors", stored, {})


def from_gguf(place: Path, directory: Path) -> Found:
    """Read a GGUF file."""
    file = read_gguf(place)
    tokens = len(file.values.get("tokenizer.ggml.tokens", []))
    embedding = file.tensors.get("token_embd.weight")
    if embedding is None:
        raise InputError(f"{place.name}: token_embd.weight is missing; it is no language model")
    fast, settings = read_tokenizer(file.values)
    eos = file.values.get("tokenizer.ggml.eos_token_id", tokens - 1)
    ids = {
        "bos_id": file.values.get("tokenizer.ggml.bos_token_id", eos),
        "eos_id": eos,
        "pad_id": file.values.get("tokenizer.ggml.padding_token_id", eos),
    }
    config = config_of(file.values, set(file.tensors), embedding.shape[0], ids)
    architecture = file.values["general.architecture"]
    model = filled(config, to_ours(architecture, config, file.tensors), place, torch.float32)
    write_tokenizer(directory, fast.to_str(pretty=True), settings)
    check_fits(HubTokenizer(directory), config.vocab_size, place)
    about = {key: str(file.values[f"general.{key}"]) for key in ("name", "organization", "license")
             if f"general.{key}" in file.values}  # fmt: skip
    return Found(model, "gguf", file.stored, about)


def filled(config: ModelConfig, tensors: dict[str, torch.Tensor], place: Path, dtype: torch.dtype) -> CausalLM:
    model = empty_model(config)
    set_weights(model, tensors, place, dtype)
    return model


def check_tied(config: ModelConfig, tensors: dict[str, torch.Tensor], place: Path) -> None:
    """Raise InputError where the output layer is said to be the embedding, and is stored as another matrix: which of
    both the model was trained with cannot be told."""
    found = by_family(config.family, config.n_heads, tensors)
    head, embedding = found.get("lm_head.weight"), found.get("model.embed_tokens.weight")
    if config.tie_embeddings and head is not None and embedding is not None and not torch.equal(head, embedding):
        raise InputError(
            f"{place.name}: lm_head.weight is another matrix than the embedding, which config.json says it is; write "
            "tie_word_embeddings: false there, or leave the matrix out"
        )


def all_tensors(place: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a directory's safetensors files. Raises InputError where the index names one that is not
    there, or two files have a tensor of one name."""
    names = sorted(path.name for path in place.glob("*.safetensors"))
    index = place / INDEX
    if index.is_file():
        stated = shard_names(index)
        if missing := sorted(set(stated) - set(names)):
            raise InputError(f"{place.name}: {missing[0]} is missing, which {INDEX} names; the copy is not complete")
        names = stated
    tensors: dict[str, torch.Tensor] = {}
    for name in names:
        for tensor, value in read_tensors(place / name).items():
            if tensor in tensors:
                raise InputError(
                    f"{place.name}: {tensor} is in two files, one is {name}; keep one model in a directory"
                )
            tensors[tensor] = value
    return tensors


def chat_template(settings: dict, place: Path) -> str | None:
    """Return the template, which stands in a file of its own, or in tokenizer_config.json, alone or among several."""
    if (place / TEMPLATE_FILE).is_file():
        try:
            return (place / TEMPLATE_FILE).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{place.name}: {TEMPLATE_FILE} is not UTF-8 ({error.reason}); correct it") from error
    stated = settings.get("chat_template")
    if isinstance(stated, list):
        named = {str(each.get("name")): each.get("template") for each in stated if isinstance(each, dict)}
        stated = named.get("default", next(iter(named.values()), None))
    if not isinstance(stated, str | None):
        raise InputError(f"{place.name}: {CONFIG_FILE}: chat_template is {type(stated).__name__}, not text; correct it")
    return stated


def write_tokenizer(directory: Path, fast: str, settings: dict) -> None:
    (directory / FILE).write_text(fast + "\n", encoding="utf-8")
    (directory / CONFIG_FILE).write_text(pretty(settings), encoding="utf-8")
