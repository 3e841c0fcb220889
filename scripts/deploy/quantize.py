"""Quantize a model's linear layers by rounding to nearest, write them packed, and measure what it costs."""

from functools import partial
from pathlib import Path

import torch

from llm.command import command
from llm.deploy.quantize.model import (
    layers_to_quantize,
    load_quantized,
    quantize_model,
    quantized_config,
    save_quantized,
)
from llm.deploy.quantize.rtn import fitting_group_size, quantize_weight, weight_error
from llm.deploy.settings.quantize import QuantizeSettings
from llm.model.directory import load_model
from llm.model.transformer import CausalLM
from llm.package.hf_directory import (
    WEIGHTS_NAME,
    copy_files,
    directory_bytes,
    read_config,
    tokenizer_files_of,
    write_configs,
)
from llm.pretrain.evaluate import ValidationSet, bits_per_byte
from llm.pretrain.loss import token_losses
from llm.progress import progress
from llm.runtime.device import default_device


def main(model: Path, tokens: Path, quantized: Path, *, settings: QuantizeSettings) -> dict:
    """model: Hugging Face directory. tokens: token shards with validation documents. quantized: empty directory to
    fill. Returns sizes, errors and losses before and after."""
    device, bits = default_device(), settings.bits
    original = load_model(model, device=device)
    config = read_config(model)
    shape = original.config
    size = fitting_group_size(settings.group_size, [shape.d_model, shape.n_heads * shape.d_head, shape.d_ff])
    written = quantized_config(config, bits, size)
    weights = quantize_model(original, lambda _, weight: quantize_weight(weight, bits, size))
    write_configs(quantized, written)
    save_quantized(original, weights, quantized / WEIGHTS_NAME)
    copy_files(tokenizer_files_of(model), quantized)
    validation = ValidationSet(tokens)
    packed = load_quantized(quantized, device=device)
    before, after = (quality(each, validation, settings.validation_tokens) for each in (original, packed))
    progress(f"{bits} bits  bits per byte {before['bits_per_byte']:.4f} -> {after['bits_per_byte']:.4f}")
    layers = layers_to_quantize(original)
    errors = {name: weight_error(layer.weight.detach(), weights[name]) for name, layer in layers.items()}
    dense_bytes = sum(weight.q_NK.numel() * 4 for weight in weights.values())
    packed_bytes = sum(weight.q_NK.numel() * bits // 8 + weight.scale_NG.numel() * 4 for weight in weights.values())
    return {
        "bits": bits,
        "group_size": size,
        "bytes_before": directory_bytes(model),
        "bytes_after": directory_bytes(quantized),
        "quantized_layers_bytes_before": dense_bytes,
        "quantized_layers_bytes_after": packed_bytes,
        "before": before,
        "after": after,
        "perplexity_change": after["perplexity"] / before["perplexity"] - 1,
        "largest_error_in_scales": max(error["max_in_scales"] for error in errors.values()),
        "error_bound_in_scales": 0.5,
        "weight_error": errors,
    }


def quality(model: CausalLM, validation: ValidationSet, limit: int | None) -> dict:
    """Return {"bits_per_byte", "perplexity" per token, "tokens" scored}, in fp32."""
    result = bits_per_byte(partial(losses, model), model.config, validation, limit)
    held_out = [meta["validation"] for meta in validation.metas.values()]
    bytes_per_token = sum(counts["bytes"] for counts in held_out) / sum(counts["tokens"] for counts in held_out)
    return {
        "bits_per_byte": result["bpb"],
        "perplexity": 2 ** (result["bpb"] * bytes_per_token),
        "tokens": result["tokens"],
    }


def losses(model: CausalLM, tokens_BT: torch.Tensor) -> torch.Tensor:
    """Return -ln p of every target of int64 [B, T + 1], fp32 [B * T]."""
    tokens_BT = tokens_BT.to(model.device)
    with torch.no_grad():
        return token_losses(
            model.hidden(tokens_BT[:, :-1]).flatten(0, 1), model.output_weight, tokens_BT[:, 1:].flatten()
        )


if __name__ == "__main__":
    command(main)
