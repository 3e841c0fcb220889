"""List every tensor of a model directory: shape, dtype, digest, block, norms and spectrum, beside the formulas."""

from pathlib import Path

from llm.command import command
from llm.io.json import write_json
from llm.model.counts import parameter_counts
from llm.model.directory import WEIGHTS_NAME, by_our_names, load_config, read_tensors
from llm.package.hf_directory import inventory
from llm.package.tensors import facts_of


def main(model: Path, facts: Path) -> dict:
    """model: Hugging Face directory. facts: JSON file to write. Returns the sums by block."""
    config = load_config(model / "config.json")
    tensors = by_our_names(config, read_tensors(model / WEIGHTS_NAME))
    found, blocks = facts_of(config, tensors), inventory(config, tensors)
    write_json(facts, {"blocks": blocks, "tensors": found})
    return {
        "tensors": len(found),
        "parameters": sum(block["parameters"] for block in blocks.values()),
        "expected": parameter_counts(config)["total"],
        "tied": config.tie_embeddings,
        "dead_units": sum(tensor["dead"] for tensor in found),
        "blocks": {name: block["parameters"] for name, block in blocks.items()},
    }


if __name__ == "__main__":
    command(main)
