"""A model directory that cannot be loaded: one line that says why, and the other models answer on."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from llm.align.identity import weights_digest
from tests.llm.deploy.serve.plain_requests import post

UP = "model.layers.0.mlp.up_proj.weight"


def damage(directory: Path, kind: str) -> None:
    file = directory / "model.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(file).items()}  # not the file, which is written to
    match kind:
        case "truncated":
            file.write_bytes(file.read_bytes()[:-50])
        case "a header that claims too much":
            file.write_bytes((2**62).to_bytes(8, "little") + file.read_bytes()[8:])
        case "shape":
            save_file(tensors | {UP: tensors[UP][:-1].contiguous()}, file)
        case "dtype":
            save_file(tensors | {UP: tensors[UP].to(torch.int32)}, file)
        case "missing":
            save_file({name: tensor for name, tensor in tensors.items() if name != UP}, file)
        case "pickle in its place":
            torch.save(tensors, file)
        case "pickle beside":
            torch.save(tensors, directory / "pytorch_model.bin")
            file.unlink()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("truncated", "cannot be read as safetensors"),
        ("a header that claims too much", "cannot be read as safetensors"),
        ("shape", f"{UP} has shape"),
        ("dtype", f"{UP} has whole numbers (torch.int32)"),
        ("missing", f"lacks {UP}"),
        ("pickle in its place", "cannot be read as safetensors"),
        ("pickle beside", "model.safetensors is missing"),
    ],
)
def test_a_damaged_model_is_refused_alone(kind: str, said: str, directories, serving, tmp_path) -> None:
    shutil.copytree(directories["base"], tmp_path / "bad")
    damage(tmp_path / "bad", kind)
    with serving(models={"base": directories["base"], "bad": tmp_path / "bad"}) as url:
        for _ in range(2):
            refused = post(url, "/v1/completions", {"prompt": "x", "model": "bad"})
            message = refused.json()["error"]["message"]
            assert refused.status_code == 400 and said in message and "\n" not in message
            assert post(url, "/v1/completions", {"prompt": "x", "model": "base"}).status_code == 200


def test_an_adapter_of_another_model_is_refused_alone(directories, serving, tmp_path) -> None:
    """The names and shapes of its base are this one's; the weights that it was trained beside are not."""
    for name, made_on in (("right", "base"), ("wrong", "sft")):
        shutil.copytree(directories["tuned"], tmp_path / name)
        file = tmp_path / name / "adapter_config.json"
        base = os.path.relpath(directories["base"], tmp_path / name)
        told = {"base_model_name_or_path": base, "revision": weights_digest(directories[made_on])}
        file.write_text(json.dumps(json.loads(file.read_text()) | told))
    models = {"base": directories["base"], "right": tmp_path / "right", "wrong": tmp_path / "wrong"}
    with serving(models=models) as url:
        refused = post(url, "/v1/completions", {"prompt": "x", "model": "wrong"})
        message = refused.json()["error"]["message"]
        assert refused.status_code == 400 and "the adapter was made on a model of sha256:" in message
        assert "\n" not in message
        for name in ("base", "right"):
            assert post(url, "/v1/completions", {"prompt": "x", "model": name}).status_code == 200


def test_a_pickle_is_never_opened(directories, serving, tmp_path) -> None:
    """One that would make a file when it is loaded."""

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    shutil.copytree(directories["base"], tmp_path / "bad")
    for name in ("model.safetensors", "pytorch_model.bin"):
        torch.save({UP: Trap()}, tmp_path / "bad" / name)
    with serving(models={"base": directories["base"], "bad": tmp_path / "bad"}) as url:
        assert post(url, "/v1/completions", {"prompt": "x", "model": "bad"}).status_code == 400
    assert not (tmp_path / "sprung").exists()
    torch.load(tmp_path / "bad" / "pytorch_model.bin", weights_only=False)
    assert (tmp_path / "sprung").exists()  # the trap was one
