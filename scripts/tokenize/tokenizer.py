"""Train the tokenizer on the beginning of the sampling plan, and write it in every format."""

import time
from pathlib import Path

from llm.command import command
from llm.tokenize.byte_level import to_model
from llm.tokenize.documents import planned_texts
from llm.tokenize.export import write_merges, write_tokenizer_config, write_tokenizer_json, write_vocab
from llm.tokenize.load import CONTROLS, Tokenizer, threads_given
from llm.tokenize.settings import TokenizerSettings
from llm.tokenize.train import train
from llm.tokenize.train_byte_level import train_bytes

SAMPLE = 1 << 20  # bytes of text on which bytes per token are measured


def main(
    clean: Path,
    plan: Path,
    model: Path,
    vocab: Path,
    merges: Path,
    tokenizer: Path,
    tokenizer_config: Path,
    *,
    settings: TokenizerSettings,
) -> dict:
    """clean: directory of all clean sources. plan: sampling plan. The other paths are written. Returns the metrics."""
    started = time.perf_counter()
    texts = planned_texts(clean, plan, settings.sample_bytes)
    if settings.model_type == "byte_bpe":
        first = len(CONTROLS)
        model.write_bytes(to_model(train_bytes(texts, vocab_size=settings.vocab_size, first_id=first), first))
    else:
        coverage, kind = settings.character_coverage, settings.model_type
        model.write_bytes(train(texts, vocab_size=settings.vocab_size, character_coverage=coverage, model_type=kind))
    trained = time.perf_counter() - started
    trained_model = Tokenizer(model)
    write_vocab(trained_model, vocab)
    write_merges(trained_model, merges)
    write_tokenizer_json(trained_model, tokenizer)
    write_tokenizer_config(tokenizer_config)
    sample = list(planned_texts(clean, plan, SAMPLE))
    encoded = trained_model.encode_arrays(sample, threads_given())
    return {
        "vocab_size": trained_model.vocab_size,
        "bytes_per_token": sum(len(text.encode()) for text in sample) / sum(len(ids) for ids in encoded),
        "training_seconds": trained,
    }


if __name__ == "__main__":
    command(main)
