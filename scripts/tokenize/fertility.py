"""Measure how much text a token holds, by domain and language, beside a GPT-2-like tokenizer."""

from pathlib import Path

import numpy as np
import polars as pl

from llm.command import command
from llm.io.json import write_json
from llm.tokenize.byte_level import GPT2, fast_bytes
from llm.tokenize.documents import planned_texts
from llm.tokenize.encoder import Encoder
from llm.tokenize.fertility import counted, summary
from llm.tokenize.load import CONTROLS, Tokenizer, threads_given
from llm.tokenize.settings import Sample
from llm.tokenize.train_byte_level import train_bytes


def main(clean: Path, plan: Path, model: Path, fertility: Path, *, settings: Sample) -> dict:
    """clean: all clean sources. plan, settings: what the tokenizer was trained on. model: tokenizer.model.
    fertility: JSON to write. Returns the same. The rival has as many pieces as the text supports, at most ours."""
    tokenizer = Tokenizer(model)
    first = len(CONTROLS)
    texts = planned_texts(clean, plan, settings.sample_bytes)
    size = tokenizer.vocab_size
    pieces = train_bytes(texts, vocab_size=size, first_id=first, pattern=GPT2, at_most=True)
    rival = fast_bytes(pieces, CONTROLS, GPT2)

    def rival_lengths(texts: list[str]) -> np.ndarray:
        return np.array([len(found.ids) for found in rival.encode_batch(texts)], np.int64)

    encoder = Encoder(tokenizer, threads_given())
    tables = [counted(source, encoder, rival_lengths) for source in sources(clean)]
    result = {"vocab_size": size, "gpt2_vocab_size": first + len(pieces)} | summary(pl.concat(tables))
    write_json(fertility, result)
    return result


def sources(clean: Path) -> list[Path]:
    return sorted(path for path in clean.iterdir() if path.is_dir())


if __name__ == "__main__":
    command(main)
