"""Makes a quantized model directory of a model directory, layer by layer."""

from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch

from llm.deploy.quantize.layerwise import Errors, packed_sizes, quantize_layers, read_layers
from llm.deploy.quantize.layout import layout_for
from llm.deploy.quantize.lazy_weights import LazyWeights
from llm.deploy.quantize.model import quantized_config
from llm.deploy.quantize.rotation import RotatedWeights, untied
from llm.deploy.settings.quantize import Method
from llm.model.directory import CONFIG_NAME, load_config, read_config
from llm.model.rounding import group_size_of
from llm.package.hf_directory import copy_files, tokenizer_files_of, write_configs
from llm.package.settings import PackageSettings
from llm.package.shards import write_shards
from llm.runtime.malloc import give_back_freed_memory


@dataclass(frozen=True)
class Written:
    """group_size: that was used. errors: by matrix. before, after: bytes of all quantized matrices, in fp32 and packed
    with their scales."""

    group_size: int | None
    errors: Errors
    before: int
    after: int


def write_quantized(
    model: Path,
    target: Path,
    method: Method,
    calibration_CT: torch.Tensor | None,
    scratch: Path,
    package: PackageSettings = PackageSettings(),  # noqa: B008 (frozen)
) -> Written:
    """Quantize the model directory `model` into the empty directory `target`. calibration_CT: int64 tokens, for methods
    that need them. scratch: where finished layers are kept, for a run that is interrupted."""
    config = load_config(model / CONFIG_NAME)
    size = group_size_of(config, method.group_size)
    layout = layout_for(method, size)
    stated = quantized_config(read_config(model / CONFIG_NAME), layout)
    source = RotatedWeights(model, config) if method.rotation else LazyWeights(model, config)
    files, errors = quantize_layers(source, method, layout, calibration_CT, scratch)
    write_configs(target, untied(stated) if method.rotation else stated)
    give_back_freed_memory()  # of the layers; what is outside them comes whole
    write_shards(chain(source.outside(), read_layers(files)), target, package.shard_bytes)
    copy_files(tokenizer_files_of(model), target)
    return Written(size, errors, *packed_sizes(files))
