"""Look into a model directory: every tensor beside the formulas, matrices in little, the embedding, attention."""

from pathlib import Path

from llm.command import command
from llm.model.counts import kv_bytes, kv_bytes_per_token, parameter_counts
from llm.model.directory import WEIGHTS_NAME, by_our_names, empty_model, load_config, read_tensors, set_weights
from llm.model.shape import Shape
from llm.model.tensor_names import to_ours
from llm.package.hf_directory import inventory
from llm.package.inventory import attention, embedding, matrices
from llm.package.inventory.settings import InventorySettings
from llm.package.inventory.tensors import facts_of, tying
from llm.package.inventory.write import by_block, heads_of, write
from llm.tokenize.open import check_fits, open_tokenizer


def main(model: Path, facts: Path, *, settings: InventorySettings) -> dict:
    """model: Hugging Face directory. facts: JSON file to write. Returns the sums by block."""
    config, tokenizer = load_config(model / "config.json"), open_tokenizer(model)
    check_fits(tokenizer, config.vocab_size, model)
    stored = to_ours(config.family, config.n_heads, read_tensors(model / WEIGHTS_NAME))
    tensors, tied = by_our_names(config, stored), tying(config, stored)
    found, blocks = facts_of(config, tensors), inventory(config, tensors)
    lm = empty_model(config)
    set_weights(lm, tensors, model / WEIGHTS_NAME)
    looks = attention.looks(lm.eval(), tokenizer, settings.prompts, settings.prompt_tokens)
    matrix = tensors["model.embed_tokens.weight"]
    write(
        facts,
        {
            "blocks": blocks,
            "tensors": found,
            "spectra": by_block(found, "spectrum"),
            "tying": tied,
            "heads": heads_of(found) | looks["heads"],
            "prompts": looks["prompts"],
            "embedding": {"norms": matrices.histogram(matrix.float().norm(dim=1))}
            | embedding.looked_into(matrix, tokenizer, settings.words),
            "fused": matrices.fused(config, tensors),
            "feed_forward": matrices.feed_forwards(config, tensors),
            "units": matrices.units(tensors),
            "norms": matrices.scales(tensors),
        },
    )
    return {
        "tensors": len(found),
        "parameters": sum(block["parameters"] for block in blocks.values()),
        "expected": parameter_counts(config)["total"],
        "tied": config.tie_embeddings,
        "tying": tied,
        "dead_units": sum(tensor["dead"] for tensor in found),
        "blocks": {name: block["parameters"] for name, block in blocks.items()},
        "entropy": looks["entropy"],
        "sink": looks["sink"],
        "kv_bytes_per_token": kv_bytes_per_token(Shape.of(config), 2),
        "kv_bytes": {
            length: {"one request": kv_bytes(Shape.of(config), length)}
            for length in (config.context_length * eighth // 8 for eighth in range(1, 9))
        },
    }


if __name__ == "__main__":
    command(main)
