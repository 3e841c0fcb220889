"""The ways to get ids from a tokenizer's files, each with its own reader."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from tokenizers import Regex, models, pre_tokenizers
from tokenizers import Tokenizer as FastTokenizer

from llm.tokenize.byte_level import PATTERN
from llm.tokenize.encoder import Encoder
from llm.tokenize.export import escapes
from llm.tokenize.load import Tokenizer


def from_text_files(directory: Path) -> FastTokenizer:
    """vocab.json and merges.txt of a tokenizer, read as other tools read them."""
    if Tokenizer(directory / "tokenizer.model").kind == "byte_bpe":
        result = FastTokenizer(models.BPE.from_file(str(directory / "vocab.json"), str(directory / "merges.txt")))
        pieces = pre_tokenizers.Split(Regex(PATTERN), "isolated")
        bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        result.pre_tokenizer = pre_tokenizers.Sequence([pieces, bytes_])
        return result
    model = models.BPE.from_file(
        str(directory / "vocab.json"), str(directory / "merges.txt"), unk_token="[UNK]", byte_fallback=True
    )
    result = FastTokenizer(model)
    result.normalizer = escapes()
    return result


def readers(directory: Path) -> dict[str, Callable[[list[str]], list[list[int]]]]:
    """Name -> texts to the ids of each, for a directory with all files of a bpe or byte_bpe tokenizer."""
    tokenizer = Tokenizer(directory / "tokenizer.model")
    encoder = Encoder(tokenizer, threads=2)
    fast = FastTokenizer.from_file(str(directory / "tokenizer.json"))
    plain = from_text_files(directory)

    def kernels(texts: list[str]) -> list[list[int]]:
        ids, lengths = encoder.encode(*encoder.utf8(texts))
        return [part.tolist() for part in np.split(ids, np.cumsum(lengths))[:-1]]

    return {
        "tokenizer.model": lambda texts: tokenizer.encode_batch(texts, threads=2),
        "tokenizer.json": lambda texts: [found.ids for found in fast.encode_batch_fast(texts)],
        "vocab.json, merges.txt": lambda texts: [found.ids for found in plain.encode_batch_fast(texts)],
        "kernels": kernels,
    }


def differences(directory: Path, texts: list[str]) -> dict[str, int]:
    """By reader: of how many texts its ids are not those of tokenizer.model."""
    found = {name: read(texts) for name, read in readers(directory).items()}
    return {
        name: sum(a != b for a, b in zip(ids, found["tokenizer.model"], strict=True)) for name, ids in found.items()
    }
