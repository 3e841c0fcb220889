"""Write the validated architecture as a Hugging Face config.json. Builds no weights."""

import json
from pathlib import Path

from llm.command import command
from llm.errors import InputError
from llm.model.config import ModelConfig, parameter_counts

SPECIAL = {"bos_id": "[BOS]", "eos_id": "[EOS]", "pad_id": "[PAD]"}


def main(tokenizer: Path, config: Path, *, model: dict) -> dict:
    """tokenizer: vocab.json, piece -> id. config: config.json to write. model: the config's `model` block."""
    vocabulary = json.loads(tokenizer.read_text(encoding="utf-8"))
    for piece in SPECIAL.values():
        if piece not in vocabulary:
            raise InputError(f"{tokenizer} has no {piece}; train the tokenizer with the special tokens")
    ids = {key: vocabulary[piece] for key, piece in SPECIAL.items()}
    architecture = ModelConfig.from_section(model, len(vocabulary), **ids)
    text = json.dumps(architecture.to_hf(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    config.write_text(text, encoding="utf-8")
    return {"vocab_size": len(vocabulary), "parameters": parameter_counts(architecture)}


if __name__ == "__main__":
    command(main)
