"""Reads and writes the config and weights of a checkpoint or a Hugging Face directory."""

from pathlib import Path

import numpy  # noqa: F401 (safetensors.torch writes through it, and says so in an extra alone)
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch.overrides import TorchFunctionMode

from llm.errors import InputError
from llm.io.json_object import read_object
from llm.model.config import ModelConfig
from llm.model.tensor_names import to_ours
from llm.model.transformer import CausalLM

MOST_LAYERS = 1 << 10  # as many as can be laid out in a few seconds
CONFIG_NAME, WEIGHTS_NAME, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"


def load_config(path: Path) -> ModelConfig:
    """Return the ModelConfig of a `config.json`. Raises InputError if it is missing, broken or of no known family."""
    return ModelConfig.from_hf(read_config(path))


def read_config(path: Path) -> dict:
    """Return a `config.json` as it stands, including keys unknown to ModelConfig. Raises InputError if it is missing or
    broken."""
    return read_object(path, f"a model directory holds {CONFIG_NAME} and {WEIGHTS_NAME}")


def load_model(directory: Path, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> CausalLM:
    """Return the CausalLM of a directory with config.json and model.safetensors, weights cast to `dtype`, on `device`,
    in eval mode."""
    model = empty_model(load_config(Path(directory) / CONFIG_NAME))
    load_weights(model, Path(directory) / WEIGHTS_NAME, dtype)
    return model.to(device).eval()


def empty_model(config: ModelConfig) -> CausalLM:
    """Make a CausalLM whose weights take no memory until they are loaded. Raises InputError for sizes that no model
    has."""
    if config.n_layers > MOST_LAYERS:
        raise InputError(f"config.json: {config.n_layers:,} layers are more than any model has; correct it")
    try:
        with torch.device("meta"), Uninitialised():
            return CausalLM(config)
    except (RuntimeError, TypeError) as error:  # torch's, of numbers that it cannot multiply
        said = str(error).split("\n")[0]
        raise InputError(f"config.json: no model can have these sizes ({said}); correct it") from error


class Uninitialised(TorchFunctionMode):
    """Lets new layers leave their weights as they come. Random numbers for weights without memory would make torch
    import 800 modules (sympy among them), which takes a second and 70 MB."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def load_weights(model: CausalLM, path: Path, dtype: torch.dtype = torch.float32) -> None:
    """Replace the model's weights by those of a safetensors file, see set_weights."""
    set_weights(model, read_tensors(path, None if dtype == torch.float32 else dtype), path, dtype)


def set_weights(
    model: CausalLM, tensors: dict[str, torch.Tensor], path: Path, dtype: torch.dtype = torch.float32
) -> None:
    """Replace the model's weights by those read from `path`, which have our names or those of the config's family.
    Raises InputError, which names what is missing or misshapen."""
    weights = by_our_names(model.config, tensors)
    expected = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    for name in sorted(expected.keys() | weights.keys()):
        if name not in weights:
            raise InputError(f"{path} lacks {name}; it does not belong to this config.json")
        if name not in expected:
            raise InputError(f"{path} has {name}, which config.json does not; it does not belong to this config.json")
        if tuple(weights[name].shape) != expected[name]:
            raise InputError(
                f"{path}: {name} has shape {tuple(weights[name].shape)}, config.json wants {expected[name]}"
            )
        if not weights[name].is_floating_point():
            raise InputError(f"{path}: {name} has whole numbers ({weights[name].dtype}), weights are floats")
    model.load_state_dict({name: weight.to(dtype) for name, weight in weights.items()}, assign=True)
    model.requires_grad_(True)


def by_our_names(config: ModelConfig, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a directory's tensors by our names; of tied matrices, which some writers store twice, one."""
    found = to_ours(config.family, config.n_heads, tensors)
    return {name: tensor for name, tensor in found.items() if not (config.tie_embeddings and name == "lm_head.weight")}


def read_tensors(path: Path, dtype: torch.dtype | None = None) -> dict[str, torch.Tensor]:
    """Return all tensors of a safetensors file, or of the shards that an index lists in its place, as they are, or the
    floats among them in `dtype`, with no more than one in another beside them. Raises InputError if one is missing or
    damaged."""
    index = path.with_name(INDEX)
    if not path.is_file() and index.is_file():
        shards = [path.with_name(name) for name in shard_names(index)]
        return {name: tensor for shard in shards for name, tensor in read_file(shard, dtype).items()}
    return read_file(path, dtype)


def read_file(path: Path, dtype: torch.dtype | None) -> dict[str, torch.Tensor]:
    """Do what read_tensors does, of one file."""
    try:
        return load_file(path) if dtype is None else converted(path, dtype)
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; a model directory holds {CONFIG_NAME} and {WEIGHTS_NAME}") from error
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be read as safetensors ({error}); build it again") from error


def converted(path: Path, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Return a file's tensors, floats in `dtype`. What has been read of an open file stays in memory, so it is opened
    for each."""
    with safe_open(path, "pt") as file:
        names = list(file.keys())
    found = {}
    for name in names:
        with safe_open(path, "pt") as file:
            tensor = file.get_tensor(name)
            found[name] = tensor.to(dtype if tensor.is_floating_point() else tensor.dtype, copy=True)
            del tensor
    return found


def shard_names(index: Path) -> list[str]:
    """Return the names of the files that an index of shards lists."""
    stated = read_object(index, "it lists the files of a model").get("weight_map")
    if not isinstance(stated, dict) or not all(isinstance(name, str) for name in stated.values()):
        raise InputError(f"{index}: it has no weight_map from tensors to files; copy or build it again")
    names = sorted(set(stated.values()))
    for name in names:
        if not name.endswith(".safetensors") or Path(name).name != name or "\0" in name:
            raise InputError(f"{index}: {name!r} is no safetensors file beside it; copy or build it again")
    return names
