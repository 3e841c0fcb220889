"""Write the validated architecture as config.json, a Hugging Face one where a family computes the same."""

import json
from pathlib import Path

from llm.command import command
from llm.errors import InputError
from llm.model.config import ModelConfig, config_json
from llm.model.counts import parameter_counts
from llm.model.families import described

SPECIAL = {"bos_id": "[BOS]", "eos_id": "[EOS]", "pad_id": "[PAD]"}


def main(tokenizer: Path, config: Path, *, model: dict) -> dict:
    """tokenizer: vocab.json, piece -> id. config: config.json to write. model: the config's `model` block."""
    vocabulary = json.loads(tokenizer.read_text(encoding="utf-8"))
    for piece in SPECIAL.values():
        if piece not in vocabulary:
            raise InputError(f"{tokenizer} has no {piece}; train the tokenizer with the special tokens")
    ids = {key: vocabulary[piece] for key, piece in SPECIAL.items()}
    architecture = ModelConfig.from_section(model, len(vocabulary), **ids)
    config.write_text(config_json(architecture), encoding="utf-8")
    return {
        "vocab_size": len(vocabulary),
        "hugging_face": described(vars(architecture)),
        "parameters": {block: count for block, count in parameter_counts(architecture).items() if count},
    }


if __name__ == "__main__":
    command(main)
