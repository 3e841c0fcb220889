"""INT4 with calibration: the methods against each other, layer by layer, resumed."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from weakref import WeakKeyDictionary, finalize

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.utils._python_dispatch import TorchDispatchMode

from llm.deploy.quantize import awq, gptq, rounding_errors
from llm.deploy.quantize.calibration import draw, read_calibration
from llm.deploy.quantize.layerwise import quantize_layers
from llm.deploy.quantize.layout import Layout
from llm.deploy.quantize.lazy_weights import LazyWeights
from llm.deploy.quantize.model import load_any
from llm.deploy.quantize.write import write_quantized
from llm.deploy.settings.calibration import CalibrationSettings
from llm.deploy.settings.quantize import Method, QuantizeSettings
from llm.errors import InputError
from llm.model.directory import load_config
from llm.package.shards import write_shards
from scripts.deploy import calibration as calibration_script
from scripts.deploy import quantize
from tests.llm.deploy.quantize.correlated import generator
from tests.llm.tokenize.write_ids import write_indexed

INT4 = Method(bits=4, group_size=16)
GPT2 = {"position": "learned", "norm": "layernorm", "activation": "gelu_tanh", "bias": True, "n_kv_heads": 6}
SHAPES: list[dict] = [{}, {"n_kv_heads": 6, "tie_embeddings": False}, {"qkv_bias": True}, {"norm_order": "post"}, GPT2]


def layers(directory: Path, method: Method, scratch: Path, threads: int = 1) -> tuple[list[bytes], dict]:
    config = load_config(directory / "config.json")
    tokens = torch.randint(0, 400, (8, 32), generator=generator(3))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        files, errors = quantize_layers(
            LazyWeights(directory, config), method, Layout(4, method.group_size), tokens, scratch
        )
    finally:
        torch.set_num_threads(before)
    return [file.read_bytes() for file in files], errors


def output_error(errors: dict) -> float:
    return sum(error["output"] for error in errors.values())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_each_method_errs_less_than_the_one_before(shape: dict, hf_directory: Callable[..., Path], tmp_path: Path):
    base = hf_directory("base", **shape)
    found = {
        kind: output_error(layers(base, replace(INT4, kind=kind, shrinkage=0.0), tmp_path / kind)[1])
        for kind in ("rtn", "awq", "gptq")
    }
    assert found["gptq"] < found["awq"] <= found["rtn"] * 1.001
    assert found["gptq"] < 0.95 * found["rtn"]


@pytest.mark.parametrize("kind", ["rtn", "awq", "gptq"])
def test_a_run_that_is_interrupted_goes_on_to_the_same_bytes(
    kind: str, hf_directory: Callable[..., Path], tmp_path: Path
):
    base, method = hf_directory("base", n_layers=3), replace(INT4, kind=kind)
    whole, _ = layers(base, method, tmp_path / "whole")
    assert layers(base, method, tmp_path / "threads", threads=2)[0] == whole
    layers(base, method, tmp_path / "cut")
    first = tmp_path / "cut/layer-00000.safetensors"
    kept = first.stat().st_mtime_ns
    # As if killed behind the second layer: the third is missing, the states are those before it.
    (tmp_path / "cut/layer-00002.safetensors").unlink()
    states = hidden_before(base, method, tmp_path / "two", 2)
    (tmp_path / "cut/hidden.safetensors").write_bytes(states)
    assert layers(base, method, tmp_path / "cut")[0] == whole
    assert first.stat().st_mtime_ns == kept


def hidden_before(base: Path, method: Method, scratch: Path, stop: int) -> bytes:
    """Return the states before layer `stop`, of a run that is stopped there."""
    found: list[bytes] = []
    config = load_config(base / "config.json")

    class Stopping(LazyWeights):
        def block(self, index: int) -> dict:
            if index == stop:
                found.append((scratch / "hidden.safetensors").read_bytes())
            return super().block(index)

    tokens = torch.randint(0, 400, (8, 32), generator=generator(3))
    quantize_layers(Stopping(base, config), method, Layout(4, method.group_size), tokens, scratch)
    return found[0]


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    random = np.random.Generator(np.random.PCG64(0))
    for source, domain, low in (("one", "books", 8), ("two", "code", 200)):
        directory = tmp_path / "tokens" / source
        directory.mkdir(parents=True)
        for split, count in (("train", 30), ("validation", 3)):
            write_indexed(directory / split, [random.integers(low, low + 100, 60) for _ in range(count)], np.uint16)
        counts = {"documents": 3, "tokens": 180, "bytes": 540}
        (directory / "meta.json").write_text(json.dumps({"source": source, "domain": domain, "validation": counts}))
    return tmp_path / "tokens"


def test_a_calibration_set_is_drawn_in_equal_parts_from_training_text(tokens: Path, tmp_path: Path):
    settings = CalibrationSettings(sequences=6, length=20, seed=1)
    (tmp_path / "set").mkdir()
    metrics = calibration_script.main(tokens, tmp_path / "set", settings=settings)
    drawn, domains = read_calibration(tmp_path / "set", 400, 64)
    assert metrics["sequences"] == {"books": 3, "code": 3}
    assert domains == ["books", "code"]
    assert tuple(drawn.shape) == (6, 20)
    assert (drawn[0::2] < 108).all() and (drawn[1::2] >= 200).all()
    assert np.array_equal(draw(tokens, settings)[0], drawn)
    assert not np.array_equal(draw(tokens, replace(settings, seed=2))[0], drawn)
    code, _ = draw(tokens, replace(settings, domains=["code"]))
    assert code.min() >= 200


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"length": 5000}, "any domain has no training text of 5000 tokens"),
        ({"domains": ["law"]}, "law has no training"),
    ],
)
def test_too_little_text_is_refused(tokens: Path, changes: dict, words: str):
    with pytest.raises(InputError, match=words):
        draw(tokens, CalibrationSettings(**{"sequences": 2, "length": 20, "seed": 1} | changes))


@pytest.mark.parametrize("kind", ["rtn", "gptq", "awq"])
def test_the_script_measures_what_it_writes(kind: str, hf_directory: Callable[..., Path], tokens: Path, tmp_path: Path):
    base = hf_directory("base")
    (tmp_path / "set").mkdir()
    calibration_script.main(tokens, tmp_path / "set", settings=CalibrationSettings(sequences=8, length=32, seed=1))
    (tmp_path / "q").mkdir()
    settings = QuantizeSettings(bits=4, group_size=16, kind=kind, validation_tokens=100)
    metrics = quantize.main(base, tokens, tmp_path / "q", tmp_path / "set", settings=settings)
    assert metrics["calibrated_on"] == ["books", "code"]
    assert set(metrics["after"]["by_domain"]) == {"books", "code"}
    assert all(0 < value < 1 for value in metrics["divergence"].values())
    errors = metrics["weight_error"].values()
    assert all(0 < error["output"] < 0.1 for error in errors)
    ours, nearest, plain = (
        sum(error[name] for error in errors) for name in ("output", "nearest_output", "absmax_output")
    )
    assert ours <= nearest < plain
    assert (ours < nearest) is (kind == "gptq")
    speeds = metrics["tokens_per_second"]
    assert all(speeds[when][what] > 0 for when in ("before", "after") for what in ("one_token", "prompt"))
    tokens_BT = torch.randint(8, 400, (2, 20), generator=generator(1))
    with torch.no_grad():
        full, small = load_any(base)(tokens_BT), load_any(tmp_path / "q")(tokens_BT)
    assert 0 < (full - small).norm() < 0.5 * full.norm()
    assert sum(name.endswith("weight_packed") for name in load_file(tmp_path / "q/model.safetensors")) == 14


def test_a_calibration_that_the_model_cannot_read_is_refused(hf_directory, tokens: Path, tmp_path: Path):
    (tmp_path / "set").mkdir()
    calibration_script.main(tokens, tmp_path / "set", settings=CalibrationSettings(sequences=2, length=32, seed=1))
    with pytest.raises(InputError, match="outside the model's vocabulary of 100"):
        read_calibration(tmp_path / "set", 100, 64)
    with pytest.raises(InputError, match="32 is more than the model's context of 16"):
        read_calibration(tmp_path / "set", 400, 16)
    with pytest.raises(InputError, match="needs a calibration set"):
        settings = QuantizeSettings(bits=4, group_size=16)
        quantize.main(hf_directory("base"), tokens, tmp_path, settings=settings)


def spoiled(base: Path, name: str) -> None:
    """Do one damage to a model directory."""
    file = base / "model.safetensors"
    tensors = load_file(file)
    match name:
        case "truncated":
            file.write_bytes(file.read_bytes()[:-50])
            return
        case "no shard":
            write_shards(tensors.items(), base, 40_000)
            file.unlink()
            next(base.glob("model-00002*")).unlink()
            return
        case "nan in a layer":
            tensors["model.layers.1.mlp.up_proj.weight"][3, 4] = float("nan")
        case "nan outside":
            tensors["model.embed_tokens.weight"][3, 4] = float("inf")
        case "missing":
            del tensors["model.layers.1.mlp.up_proj.weight"]
        case "shape":
            tensors["model.layers.0.mlp.up_proj.weight"] = torch.zeros(5, 48)
    save_file(tensors, file)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("truncated", r"model\.safetensors cannot be read as safetensors"),
        ("no shard", "is missing, which model.safetensors.index.json names"),
        ("nan in a layer", "model.layers.1.mlp.up_proj.weight is not finite"),
        ("nan outside", "model.embed_tokens.weight is not finite"),
        ("missing", "layer 1: mlp.up_proj.weight is missing"),
        ("shape", "layer 0: mlp.up_proj.weight is missing or of another shape"),
    ],
)
def test_damaged_models_are_refused_in_one_line(
    name: str, words: str, hf_directory: Callable[..., Path], tmp_path: Path
):
    base = hf_directory("base")
    spoiled(base, name)
    (tmp_path / "q").mkdir()
    with pytest.raises(InputError, match=words) as caught:
        write_quantized(base, tmp_path / "q", Method(bits=8), None, tmp_path / "scratch")
    assert "\n" not in str(caught.value)


class Held(TorchDispatchMode):
    """Counts the bytes of all tensors that are made while it is on, and how many there are at most at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.seen: WeakKeyDictionary[torch.UntypedStorage, int] = WeakKeyDictionary()

    def __torch_dispatch__(self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None) -> object:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, (list, tuple)) else [made]:
            if isinstance(tensor, torch.Tensor) and tensor.device.type == "cpu":
                storage = tensor.untyped_storage()
                if storage not in self.seen:
                    self.seen[storage] = storage.nbytes()
                    self.now += storage.nbytes()
                    self.most = max(self.most, self.now)
                    finalize(storage, self.free, storage.nbytes())
        return made

    def free(self, size: int) -> None:
        self.now -= size


@pytest.mark.parametrize("kind", ["rtn", "gptq", "awq"])
def test_a_block_and_its_hessians_are_the_most_that_is_held(
    kind: str, hf_directory: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Of layers as wide as 7B's, in little: rows that are at work are few there, so here, too."""
    for module in (rounding_errors, awq, gptq):
        monkeypatch.setattr(module, "AT_ONCE", 1 << 13)
    shape = {"d_model": 256, "d_ff": 688, "n_heads": 8, "n_kv_heads": 8, "d_head": 32, "n_layers": 2}
    base = hf_directory("base", **shape)
    file = base / "model.safetensors"
    save_file({name: tensor.bfloat16() for name, tensor in load_file(file).items()}, file)
    with Held() as held:
        layers(base, replace(INT4, kind=kind, group_size=16), tmp_path / kind)
    block, hessians = 4 * 256 * (4 * 256 + 3 * 688), 4 * (3 * 256**2 + 688**2)
    assert held.most < 1.1 * (block + hessians)
    assert not held.now
