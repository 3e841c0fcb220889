"""Pretraining that goes on from an imported model: from its very weights, to a model directory with its tokenizer."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from llm.errors import InputError
from llm.model.directory import load_model
from llm.package.model_card import NAME as CARD
from llm.package.settings import PackageSettings
from llm.settings import made
from llm.training.checkpoint import read_state
from llm.training.settings import OptimizerSettings
from scripts.package import package_continued
from scripts.pretrain import initial_checkpoint, pretrain
from tests.llm.pretrain.toy import COMMON, main_arguments, make_inputs

OPTIMIZER = {name: COMMON[name] for name in ("optimizer", "learning_rate", "matrix_learning_rate", "weight_decay",
                                             "clip_norm")}  # fmt: skip


def test_it_goes_on_from_the_imported_weights(hf_directory: Callable[..., Path], tmp_path: Path) -> None:
    base = hf_directory("imported", context_length=32)
    (base / CARD).write_text("# base\n\nImported, not built here: from path:test, a gguf file.\n")
    for name in ("zero", "three", "hf", "other"):
        (tmp_path / name).mkdir()
    metrics = initial_checkpoint.main(base, tmp_path / "zero", settings=made(OptimizerSettings, OPTIMIZER))
    want = load_model(base)
    assert metrics["parameters"] == sum(weight.numel() for weight in want.parameters())
    inputs = make_inputs(tmp_path / "text") | {"config": base}
    changes = {"stop": 3, "dtype": "float32", "matrix_learning_rate": 1e-4, "learning_rate": 1e-4}
    told = pretrain.main(**main_arguments(inputs, tmp_path / "three", previous=tmp_path / "zero", **changes))
    assert told["step"] == 3
    package_continued.main(
        base,
        tmp_path / "three",
        tmp_path / "hf",
        corpus={"a": {"domain": "books", "license": "MIT"}},
        settings=PackageSettings(),
    )
    found = load_model(tmp_path / "hf").state_dict()
    for name, weight in want.state_dict().items():
        moved = (found[name] - weight).abs().max()
        assert 0 < moved < 0.01, name  # three small steps away, not at a new beginning
    assert (tmp_path / "hf/tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
    card = (tmp_path / "hf" / CARD).read_text()
    assert "imported from path:test" in card
    assert f"in 3 steps on {read_state(tmp_path / 'three')['tokens_seen']:,} tokens" in card
    assert torch.isfinite(torch.tensor(told["val_bpb"]))


def test_another_model_s_checkpoint_is_refused(hf_directory: Callable[..., Path], tmp_path: Path) -> None:
    base, other = hf_directory("imported", context_length=32), hf_directory("other", context_length=32, n_layers=1)
    for name in ("zero", "three"):
        (tmp_path / name).mkdir()
    initial_checkpoint.main(base, tmp_path / "zero", settings=made(OptimizerSettings, OPTIMIZER))
    inputs = make_inputs(tmp_path / "text") | {"config": other}
    with pytest.raises(InputError, match="of another architecture"):
        pretrain.main(**main_arguments(inputs, tmp_path / "three", previous=tmp_path / "zero", stop=3))
