"""A model as transformers saves it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PretrainedConfig


@pytest.fixture
def theirs(tmp_path: Path, tokenizer_files: dict[str, Path]) -> Callable[..., Path]:
    """A function: the directory that transformers saves of a random model, with a tokenizer."""

    def make(config: PretrainedConfig, **how: object) -> Path:
        torch.manual_seed(0)
        config.bos_token_id, config.eos_token_id, config.pad_token_id = 1, 2, 3
        model = AutoModelForCausalLM.from_config(config)
        for weight in model.parameters():
            torch.nn.init.normal_(weight, float(weight.ndim == 1), 0.1)
        directory = tmp_path / "theirs"
        model.save_pretrained(directory, **how)
        for name in ("tokenizer", "tokenizer_config"):
            shutil.copy(tokenizer_files[name], directory)
        return directory

    return make
