"""A small real tokenizer, and Hugging Face directories of random models with it: for package, quantize and serve."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM
from llm.package.hf_directory import write_directory
from llm.tokenize.export import write_merges, write_tokenizer_config, write_tokenizer_json, write_vocab
from llm.tokenize.load import Tokenizer
from llm.tokenize.train import train

VOCAB_SIZE = 400


@pytest.fixture(scope="session")
def tokenizer_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By the names that scripts/package/package.py gives them."""
    directory = tmp_path_factory.mktemp("tokenizer")
    files = {
        "model": directory / "tokenizer.model",
        "vocab": directory / "vocab.json",
        "merges": directory / "merges.txt",
        "tokenizer": directory / "tokenizer.json",
        "tokenizer_config": directory / "tokenizer_config.json",
    }
    files["model"].write_bytes(train(texts(), vocab_size=VOCAB_SIZE, character_coverage=1.0))
    trained = Tokenizer(files["model"])
    write_vocab(trained, files["vocab"])
    write_merges(trained, files["merges"])
    write_tokenizer_json(trained, files["tokenizer"])
    write_tokenizer_config(files["tokenizer_config"])
    return files


def texts() -> list[str]:
    random_ = random.Random(0)
    words = ["".join(random_.choices("etaoinshrdlu", k=random_.randint(2, 7))) for _ in range(300)]
    return [" ".join(random_.choices(words, k=40)).capitalize() + "." for _ in range(200)]


@pytest.fixture(scope="session")
def random_lm() -> Callable[..., CausalLM]:
    """A function: a CausalLM with every weight random, by changes to a small config."""

    def make(seed: int = 0, **changes: object) -> CausalLM:
        sizes = {"d_model": 48, "n_layers": 2, "n_heads": 6, "n_kv_heads": 2, "d_head": 8, "d_ff": 96}
        model = CausalLM(ModelConfig(**{"vocab_size": VOCAB_SIZE, "context_length": 64, **sizes, **changes}))
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in model.parameters():
                weight.normal_(float(weight.ndim == 1), 0.15, generator=generator)
        return model.eval()

    return make


@pytest.fixture
def hf_directory(
    tmp_path: Path, random_lm: Callable[..., CausalLM], tokenizer_files: dict[str, Path]
) -> Callable[..., Path]:
    """A function: the directory `name` of a random model."""

    def make(name: str = "base", **changes: object) -> Path:
        model = random_lm(**changes)
        (tmp_path / name).mkdir()
        write_directory(tmp_path / name, model.config.to_hf(), model, tokenizer_files.values())
        return tmp_path / name

    return make
