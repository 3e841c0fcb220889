"""Put a checkpoint of continued pretraining into a Hugging Face directory; all else is the imported model's."""

from pathlib import Path

from llm.command import command
from llm.model.counts import parameter_counts
from llm.model.directory import CONFIG_NAME, load_config, read_config, set_weights
from llm.model.transformer import CausalLM
from llm.package.hf_directory import directory_bytes, inventory, tokenizer_files_of, write_directory
from llm.package.importing.write import continued_card
from llm.package.model_card import NAME as CARD
from llm.package.settings import PackageSettings
from llm.training.checkpoint import read_state
from llm.training.tensor_shards import open_pieces


def main(imported: Path, checkpoint: Path, hf: Path, *, corpus: dict, settings: PackageSettings) -> dict:
    """imported: the model directory that pretraining went on from. checkpoint: directory of any layout of ranks. hf:
    empty directory to fill. corpus: {source: {domain, license}}. Returns the inventory of parameters."""
    architecture = load_config(imported / CONFIG_NAME)
    weights = CausalLM(architecture)
    set_weights(weights, open_pieces(checkpoint, "model").all(), checkpoint)
    stated = read_config(imported / CONFIG_NAME) | {"dtype": "float32"}
    write_directory(hf, stated, weights, tokenizer_files_of(imported), settings)
    card = continued_card((imported / CARD).read_text(encoding="utf-8"), corpus, read_state(checkpoint))
    (hf / CARD).write_text(card, encoding="utf-8")
    return {
        "parameters": parameter_counts(architecture)["total"],
        "weight_bytes": directory_bytes(hf),
        "inventory": inventory(architecture, weights.state_dict()),
    }


if __name__ == "__main__":
    command(main)
