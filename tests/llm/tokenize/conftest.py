"""One small tokenizer for all tests here, trained on Python's own library and a few other scripts."""

import sysconfig
from pathlib import Path

import pytest

from llm.tokenize.export import write_merges, write_tokenizer_config, write_tokenizer_json, write_vocab
from llm.tokenize.load import Tokenizer
from llm.tokenize.train import train

FILES = ["bisect.py", "calendar.py", "csv.py", "difflib.py", "LICENSE.txt"]
OTHERS = ["Größe und Maß", "Ελλάδα και λόγος", "собака и кошка", "日本語の文章です。", "😀😀 👩‍👩‍👧", "tab\tted"] * 40


@pytest.fixture(scope="session")
def corpus() -> list[str]:
    library = Path(sysconfig.get_paths()["stdlib"])
    return [(library / name).read_text(encoding="utf-8") for name in FILES if (library / name).exists()] + OTHERS


@pytest.fixture(scope="session")
def directory(corpus: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with all five files of the tokenizer."""
    result = tmp_path_factory.mktemp("tokenizer")
    (result / "tokenizer.model").write_bytes(train(corpus, vocab_size=1000, character_coverage=0.9995))
    tokenizer = Tokenizer(result / "tokenizer.model")
    write_vocab(tokenizer, result / "vocab.json")
    write_merges(tokenizer, result / "merges.txt")
    write_tokenizer_json(tokenizer, result / "tokenizer.json")
    write_tokenizer_config(result / "tokenizer_config.json")
    return result


@pytest.fixture(scope="session")
def tokenizer(directory: Path) -> Tokenizer:
    return Tokenizer(directory / "tokenizer.model")
