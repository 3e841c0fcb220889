"""List every tensor of a model directory: shape, dtype, digest, block, norms and spectrum, beside the formulas."""

from pathlib import Path

from llm.command import command
from llm.io.json import write_json
from llm.model.counts import parameter_counts
from llm.model.directory import load_config, read_tensors
from llm.model.tensor_names import to_ours
from llm.package.hf_directory import WEIGHTS_NAME, inventory
from llm.package.tensors import facts_of


def main(model: Path, facts: Path) -> dict:
    """model: Hugging Face directory. facts: JSON file to write. Returns the sums by block."""
    config = load_config(model / "config.json")
    tensors = to_ours(config.family, config.n_heads, read_tensors(model / WEIGHTS_NAME))
    if config.tie_embeddings:
        tensors.pop("lm_head.weight", None)
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
