"""Quantize a model's linear layers, one layer after the other, write them packed, and measure what it costs."""

import tempfile
from pathlib import Path

from llm.command import Surroundings, command
from llm.deploy.quantize.calibration import read_calibration
from llm.deploy.quantize.model import load_quantized
from llm.deploy.quantize.operators import run_quantized
from llm.deploy.quantize.quality import divergence, quality
from llm.deploy.quantize.speed import speed
from llm.deploy.quantize.write import write_quantized
from llm.deploy.settings.quantize import QuantizeSettings
from llm.model.directory import load_config, load_model
from llm.package.hf_directory import directory_bytes
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
    drawn, domains = None, list[str]()
    if settings.calibrated and calibration is not None:
        shape = load_config(model / "config.json")
        drawn, domains = read_calibration(calibration, shape.vocab_size, shape.context_length)
    with tempfile.TemporaryDirectory() as temporary:
        scratch = surroundings.scratch or Path(temporary)
        written = write_quantized(model, quantized, settings, drawn, scratch, settings)
    device, validation = default_device(), ValidationSet(tokens)
    original, packed = load_model(model, device=device), load_quantized(quantized, device=device)
    before, after = (quality(each, validation, settings.validation_tokens) for each in (original, packed))
    moved = divergence(original, packed, validation)
    speeds = {"before": speed(run_quantized(original, "dense")), "after": speed(run_quantized(packed, "weights"))}
    progress(f"{settings.bits} bits  bits per byte {before['bits_per_byte']:.4f} -> {after['bits_per_byte']:.4f}")
    return {
        "bits": settings.bits,
        "group_size": written.group_size,
        "kind": settings.kind,
        "calibrated_on": domains,
        "bytes_before": directory_bytes(model),
        "bytes_after": directory_bytes(quantized),
        "quantized_layers_bytes_before": written.before,
        "quantized_layers_bytes_after": written.after,
        "before": before,
        "after": after,
        "perplexity_change": after["perplexity"] / before["perplexity"] - 1,
        "divergence": moved,
        "tokens_per_second": speeds,
        "largest_error_in_scales": max(error["max_in_scales"] for error in written.errors.values()),
        "error_bound_in_scales": None if settings.calibrated else 0.5,  # a searched scale cuts off the largest weights
        "weight_error": written.errors,
    }


if __name__ == "__main__":
    command(main)
