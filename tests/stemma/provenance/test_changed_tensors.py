"""A bit changed in a tensor is told by the tensor's name, by the function and by `verify`."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from stemma.base import digest
from stemma.provenance.changed_tensors import changed, described
from tests.stemma.conftest import Toy
from tests.stemma.provenance.test_verify import the_fault, write


def tensors() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {f"layers.{i}.weight": random.normal(size=(4, 6)).astype(np.float32) for i in range(8)}


@pytest.fixture
def original(tmp_path: Path) -> Path:
    save_file(tensors(), tmp_path / "original.safetensors")
    return tmp_path / "original.safetensors"


@pytest.mark.parametrize("index", [0, 3, 7])
@pytest.mark.parametrize("bit", [0, 7, 4 * 6 * 32 - 1])
def test_one_bit_is_told_by_its_tensor(index: int, bit: int, original: Path, tmp_path: Path):
    data = bytearray(original.read_bytes())
    begin = data.index(tensors()[f"layers.{index}.weight"].tobytes())
    data[begin + bit // 8] ^= 1 << bit % 8
    file = tmp_path / "model.safetensors"
    file.write_bytes(data)
    assert changed(file, original) == [f"layers.{index}.weight"]
    assert described(file, original) == f": layers.{index}.weight"


def test_shapes_types_and_what_is_missing_are_told(original: Path, tmp_path: Path):
    found = tensors()
    found["layers.1.weight"] = found["layers.1.weight"].reshape(6, 4)
    found["layers.2.weight"] = found["layers.2.weight"].view(np.int32)
    found["layers.9.weight"] = found.pop("layers.4.weight")
    save_file(found, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert changed(tmp_path / "model.safetensors", original) == [f"layers.{i}.weight" for i in (1, 2, 4, 9)]
    save_file({name: value + 1 for name, value in tensors().items()}, tmp_path / "model.safetensors")
    assert described(tmp_path / "model.safetensors", original).endswith("layers.4.weight and 3 more")


@pytest.mark.parametrize("damage", [b"", b"abc", b"\xff" * 40, b"\x05\0\0\0\0\0\0\0[[[[]", b"\x02\0\0\0\0\0\0\0[]"])
def test_a_header_that_is_none(damage: bytes, original: Path, tmp_path: Path):
    (tmp_path / "model.safetensors").write_bytes(damage)
    assert described(tmp_path / "model.safetensors", original) == ": its header is damaged"
    assert described(tmp_path / "model.safetensors", tmp_path / "nothing") == ""


def test_verify_names_the_tensor(built: Toy, original: Path):
    """A safetensors file that the store, the manifest and the pointer know, and then one bit of it changed."""
    file = built.path / "results/parts/model.safetensors"
    data = bytearray(original.read_bytes())
    stored = built.path / "results/.store/objects" / digest.of_bytes(bytes(data))[:2] / digest.of_bytes(bytes(data))[2:]
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_bytes(data)
    data[-1] ^= 1
    file.write_bytes(data)
    manifest = built.path / "results/parts/manifest.json"
    stated = json.loads(manifest.read_text())
    stated["files"].append({"path": file.name, "sha256": digest.of_bytes(original.read_bytes()), "size": len(data)})
    write(manifest, json.dumps(stated).encode())
    pointer = built.path / "results/.records/parts/manifest.json.json"
    known = json.loads(pointer.read_text())
    write(pointer, json.dumps(known | {"sha256": digest.of_bytes(manifest.read_bytes())}).encode())
    assert "results/parts/model.safetensors was changed after it was built" in the_fault(built)
    assert ": layers.7.weight" in the_fault(built)
