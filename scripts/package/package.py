"""Put a checkpoint, its architecture and its tokenizer into one Hugging Face directory, weights unchanged."""

from pathlib import Path

from llm.command import command
from llm.model.counts import parameter_counts
from llm.model.directory import load_config, read_config, set_weights
from llm.model.families import described
from llm.model.transformer import CausalLM
from llm.package.hf_directory import check_vocabulary, directory_bytes, inventory, write_directory
from llm.package.model_card import NAME as CARD
from llm.package.model_card import model_card
from llm.package.settings import PackageSettings
from llm.training.checkpoint import read_state
from llm.training.tensor_shards import open_pieces


def main(
    config: Path,
    checkpoint: Path,
    model: Path,
    vocab: Path,
    merges: Path,
    tokenizer: Path,
    tokenizer_config: Path,
    hf: Path,
    *,
    corpus: dict,
    settings: PackageSettings,
) -> dict:
    """config: config.json. checkpoint: directory of any layout of ranks. model, vocab, merges, tokenizer,
    tokenizer_config: the tokenizer's files. hf: empty directory to fill. corpus: {source: {domain, license}}.
    Returns the inventory of parameters."""
    architecture = load_config(config)
    check_vocabulary(architecture, vocab)
    weights = CausalLM(architecture)
    set_weights(weights, open_pieces(checkpoint, "model").all(), checkpoint)
    files = [model, vocab, merges, tokenizer, tokenizer_config]
    write_directory(hf, read_config(config), weights, files, settings)
    card = model_card(architecture, corpus, read_state(checkpoint, ("step", "tokens_seen")))
    (hf / CARD).write_text(card, encoding="utf-8")
    return {
        "hugging_face": described(vars(architecture)),
        "parameters": parameter_counts(architecture)["total"],
        "weight_bytes": directory_bytes(hf),
        "inventory": inventory(architecture, weights.state_dict()),
    }


if __name__ == "__main__":
    command(main)
