"""Pretraining that ends on the grid: what is exported is what was trained, a run that was cut is one that was not."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from llm.deploy.quantize.model import load_quantized
from llm.deploy.quantize.write import write_quantized
from llm.deploy.settings.quantize import Method
from llm.errors import InputError
from llm.model.directory import load_config, set_weights
from llm.model.grid import Grid
from llm.model.on_grid import put_on_grid
from llm.model.rounding import layers_to_quantize
from llm.model.transformer import CausalLM
from llm.package.hf_directory import NEEDED_NAMES
from llm.pretrain.evaluate import ValidationSet, bits_per_byte
from llm.pretrain.next_token import NextToken
from llm.pretrain.settings import QatSettings
from llm.settings import made
from llm.training.engines.layout import Layout
from llm.training.segment import Segment
from llm.training.tensor_shards import open_pieces
from scripts.pretrain.pretrain import main as pretrain
from scripts.pretrain.qat import main as qat
from tests.llm.pretrain.engines.runs import ADAMW, Run, curves
from tests.llm.pretrain.engines.runs import MODEL as RUNS_MODEL
from tests.llm.pretrain.toy import MODEL, digests, main_arguments, make_inputs
from tests.llm.weights import save_weights

LARGE = replace(RUNS_MODEL, init="normal", init_std=0.2)  # weights that show in the first step's loss
GRID = {"bits": 4, "group_size": 16}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_inputs(tmp_path_factory.mktemp("inputs"))


def run(inputs: dict, checkpoint: Path, start: int, stop: int, previous: Path | None = None, **changes) -> dict:
    checkpoint.mkdir()
    arguments = main_arguments(inputs, checkpoint, start=start, stop=stop, previous=previous, **changes)
    told = vars(arguments["settings"])
    return qat(**arguments | {"settings": QatSettings(**told, grid=made(Grid, GRID))})


def weights_of(checkpoint: Path) -> CausalLM:
    model = CausalLM(MODEL)
    set_weights(model, open_pieces(checkpoint, "model").all(), checkpoint)
    return model.eval()


def test_quantizing_gives_the_values_that_the_forward_pass_used(inputs: dict, tmp_path: Path) -> None:
    """Each matrix to the bit, and so the bits per byte of the packed model are those that training ended with."""
    metrics = run(inputs, tmp_path / "checkpoint", 0, 12, dtype="float32")
    trained = weights_of(tmp_path / "checkpoint")
    (tmp_path / "hf").mkdir()
    shutil.copy(inputs["config"], tmp_path / "hf")
    save_weights(trained, tmp_path / "hf/model.safetensors")
    for name in NEEDED_NAMES:  # of a tokenizer, which nothing here reads
        (tmp_path / "hf" / name).touch()
    (tmp_path / "quantized").mkdir()
    method = Method(bits=4, group_size=16, scales="absmax")
    write_quantized(tmp_path / "hf", tmp_path / "quantized", method, None, tmp_path / "scratch")
    packed = load_quantized(tmp_path / "quantized")
    used = layers_to_quantize(put_on_grid(weights_of(tmp_path / "checkpoint"), made(Grid, GRID)))
    for name, layer in used.items():
        dense = packed.get_submodule(name).dense
        assert torch.equal(layer.on_grid(layer.weight), dense), name
        assert not torch.equal(layer.weight, dense), name
    validation = ValidationSet(inputs["tokens"])
    found, plain = (
        bits_per_byte(NextToken(model, torch.float32).scores, load_config(inputs["config"]), validation, None)["bpb"]
        for model in (packed, trained)
    )
    assert found == metrics["val_bpb"] != plain


def test_a_float_run_ends_on_the_grid_whole_or_in_pieces(inputs: dict, tmp_path: Path, monkeypatch) -> None:
    """From a checkpoint of `pretrain`; two segments of it, and one that was killed and goes on, end with its bytes."""
    (tmp_path / "float").mkdir()
    pretrain(**main_arguments(inputs, tmp_path / "float", start=0, stop=10))
    whole = run(inputs, tmp_path / "whole", 10, 30, tmp_path / "float")
    run(inputs, tmp_path / "half", 10, 20, tmp_path / "float")
    assert run(inputs, tmp_path / "rest", 20, 30, tmp_path / "half")["val_bpb"] == whole["val_bpb"]
    make_step = Segment.make_step

    def killed(segment: Segment, step: int):
        if step == 18:
            raise KeyboardInterrupt
        return make_step(segment, step)

    (tmp_path / "scratch").mkdir()
    kept = {"recovery_every": 5, "scratch": tmp_path / "scratch"}
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Segment, "make_step", killed)
        run(inputs, tmp_path / "killed", 10, 30, tmp_path / "float", **kept)
    assert any(path.name.startswith("point-") for path in (tmp_path / "scratch").rglob("*"))
    (tmp_path / "killed").rmdir()
    run(inputs, tmp_path / "killed", 10, 30, tmp_path / "float", **kept)
    assert digests(tmp_path / "killed") == digests(tmp_path / "whole")
    rest = digests(tmp_path / "rest")
    assert {name: rest[name] for name in rest if name != "metrics.parquet"}.items() <= digests(
        tmp_path / "whole"
    ).items()


@pytest.mark.thorough
def test_every_layout_computes_on_the_same_grid() -> None:
    """In bf16, too, where FSDP gathers other layers' weights as bf16: those would have another grid. (Later steps part,
    since a last bit of a sum can put a weight on the next level.)"""
    options = {"prepare": partial(put_on_grid, grid=Grid(4, 32))}
    for dtype, bound in ((torch.float32, 1e-6), (torch.bfloat16, 1e-4)):
        told = {"config": LARGE, "settings": ADAMW, "dtype": dtype, "steps": 4, "options": options}
        alone = curves([Run(**told)])[0]
        layouts = [Layout(data=2, micro_batch=3), Layout(data=2, sharding="full")]
        for curve in curves([Run(layout, **told) for layout in layouts]):
            assert abs(curve[0][0] - alone[0][0]) < bound
            assert max(abs(ours[0] - theirs[0]) for ours, theirs in zip(curve, alone, strict=True)) < 0.05


def test_megatron_is_refused_in_one_line() -> None:
    options = {"prepare": partial(put_on_grid, grid=Grid(4))}
    with pytest.raises(InputError, match=r"quantize.qat.steps: needs pretrain.parallel.engine: torch"):
        Run(Layout(engine="megatron"), options=options).engine()
