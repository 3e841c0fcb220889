"""Quantize a model's linear layers, one layer after the other, write them packed, and measure what it costs."""

import tempfile
from itertools import chain
from pathlib import Path

from llm.command import Surroundings, command
from llm.deploy.quantize.calibration import read_calibration
from llm.deploy.quantize.layerwise import packed_sizes, quantize_layers, read_layers
from llm.deploy.quantize.lazy_weights import LazyWeights
from llm.deploy.quantize.model import load_quantized, quantized_config
from llm.deploy.quantize.quality import divergence, quality
from llm.deploy.quantize.rtn import fitting_group_size
from llm.deploy.settings.quantize import QuantizeSettings
from llm.model.directory import load_config, load_model
from llm.package.hf_directory import copy_files, directory_bytes, read_config, tokenizer_files_of, write_configs
from llm.package.shards import write_shards
from llm.pretrain.evaluate import ValidationSet
from llm.progress import progress
from llm.runtime.device import default_device


def main(
    model: Path,
    tokens: Path,
    quantized: Path,
    calibration: Path | None = None,
    *,
    settings: QuantizeSettings,
    surroundings: Surroundings = Surroundings(),  # noqa: B008 (frozen)
) -> dict:
    """model: Hugging Face directory. tokens: token shards with validation documents. calibration: its directory, for
    methods that need one. quantized: empty directory to fill. Returns sizes, errors and losses before and after."""
    shape, bits = load_config(model / "config.json"), settings.bits
    size = fitting_group_size(settings.group_size, [shape.d_model, shape.n_heads * shape.d_head, shape.d_ff])
    written = quantized_config(read_config(model), bits, size)
    source, drawn = LazyWeights(model, shape), None
    domains: list[str] = []
    if settings.calibrated and calibration is not None:
        drawn, domains = read_calibration(calibration, shape.vocab_size, shape.context_length)
    with tempfile.TemporaryDirectory() as temporary:
        scratch = surroundings.scratch or Path(temporary)
        files, errors = quantize_layers(source, settings, size, drawn, scratch)
        sizes = packed_sizes(files)
        write_configs(quantized, written)
        write_shards(chain([source.outside()], read_layers(files)), quantized)
    copy_files(tokenizer_files_of(model), quantized)
    device, validation = default_device(), ValidationSet(tokens)
    original, packed = load_model(model, device=device), load_quantized(quantized, device=device)
    before, after = (quality(each, validation, settings.validation_tokens) for each in (original, packed))
    progress(f"{bits} bits  bits per byte {before['bits_per_byte']:.4f} -> {after['bits_per_byte']:.4f}")
    return {
        "bits": bits,
        "group_size": size,
        "kind": settings.kind,
        "calibrated_on": domains,
        "bytes_before": directory_bytes(model),
        "bytes_after": directory_bytes(quantized),
        "quantized_layers_bytes_before": sizes[0],
        "quantized_layers_bytes_after": sizes[1],
        "before": before,
        "after": after,
        "perplexity_change": after["perplexity"] / before["perplexity"] - 1,
        "divergence": divergence(original, packed, validation),
        "largest_error_in_scales": max(error["max_in_scales"] for error in errors.values()),
        "error_bound_in_scales": None if settings.calibrated else 0.5,  # a searched scale cuts off the largest weights
        "weight_error": errors,
    }


if __name__ == "__main__":
    command(main)
