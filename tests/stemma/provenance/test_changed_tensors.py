"""A bit changed in a tensor is told by the tensor's name, by the function and by `verify`."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from safetensors.numpy import save_file

from stemma.base import digest
from stemma.provenance.changed_tensors import changed, described
from stemma.provenance.tensor_files import SUFFIXES, header
from tests.stemma.conftest import Toy
from tests.stemma.provenance.test_verify import the_fault, write


def tensors() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {f"layers.{i}.weight": random.normal(size=(4, 6)).astype(np.float32) for i in range(8)}


def save_gguf(found: dict[str, np.ndarray], path: Path) -> None:
    """With values of each kind, so that a reader has to pass over them."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_rope_freq_base(10000.5)
    writer.add_add_bos_token(True)
    writer.add_token_list(["<s>", "a", "b" * 300])
    writer.add_token_scores([0.0, -1.0, -2.0])
    for name, value in found.items():
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


SAVE: dict[str, Callable] = {".safetensors": save_file, ".gguf": save_gguf}


@pytest.fixture(params=SUFFIXES)
def original(request, tmp_path: Path) -> Path:
    """As the store has it, a name without a suffix; `file` gives it one."""
    SAVE[request.param](tensors(), tmp_path / f"original{request.param}")
    return tmp_path / f"original{request.param}"


@pytest.mark.parametrize("index", [0, 3, 7])
@pytest.mark.parametrize("bit", [0, 7, 4 * 6 * 32 - 1])
def test_one_bit_is_told_by_its_tensor(index: int, bit: int, original: Path, tmp_path: Path):
    data = bytearray(original.read_bytes())
    begin = data.index(tensors()[f"layers.{index}.weight"].tobytes())
    data[begin + bit // 8] ^= 1 << bit % 8
    file = tmp_path / f"model{original.suffix}"
    file.write_bytes(data)
    stored = original.rename(tmp_path / "0123abcd")  # whose name has no suffix
    assert changed(file, stored) == [f"layers.{index}.weight"]
    assert described(file, stored) == f": layers.{index}.weight"


def test_a_header_says_where_tensors_lie(original: Path):
    found, begin = header(original, original.suffix)
    data = original.read_bytes()
    for name, value in tensors().items():
        assert found[name]["dtype"] == "F32"
        assert sorted(found[name]["shape"]) == [4, 6]
        assert data[begin + found[name]["data_offsets"][0] :].startswith(value.tobytes())


def test_shapes_types_and_what_is_missing_are_told(original: Path, tmp_path: Path):
    found = tensors()
    found["layers.1.weight"] = found["layers.1.weight"].reshape(6, 4)
    found["layers.2.weight"] = found["layers.2.weight"].view(np.int32)
    found["layers.9.weight"] = found.pop("layers.4.weight")
    file = tmp_path / f"model{original.suffix}"
    SAVE[original.suffix](found, file)
    assert changed(file, original) == [f"layers.{i}.weight" for i in (1, 2, 4, 9)]
    SAVE[original.suffix]({name: value + 1 for name, value in tensors().items()}, file)
    assert described(file, original).endswith("layers.4.weight and 3 more")


DAMAGE = [b"", b"abc", b"\xff" * 40, b"\x05\0\0\0\0\0\0\0[[[[]", b"\x02\0\0\0\0\0\0\0[]"]
DAMAGE += [b"GGUF\3\0\0\0" + more for more in (b"", b"\xff" * 16, b"\0" * 15, b"\1" + b"\0" * 7 + b"\xff" * 60)]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_header_that_is_none(damage: bytes, original: Path, tmp_path: Path):
    file = tmp_path / f"model{original.suffix}"
    file.write_bytes(damage)
    assert described(file, original) == ": its header is damaged"
    assert described(file, tmp_path / "nothing") == ""


def test_every_third_byte_of_a_header_may_be_damaged(original: Path, tmp_path: Path):
    """That ends in a sentence; only what stands in a GGUF beside its tensors names none."""
    whole = original.read_bytes()
    file = tmp_path / f"model{original.suffix}"
    for place in range(0, whole.index(tensors()["layers.0.weight"].tobytes()), 3):
        for value in {0, 0xFF, whole[place] ^ 1} - {whole[place]}:
            file.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            assert described(file, original) or original.suffix == ".gguf", (place, value)


def test_a_file_that_is_the_store_s_own_has_no_other_to_compare_with(original: Path, tmp_path: Path):
    os.link(original, tmp_path / f"model{original.suffix}")
    assert "`stemma rebuild`" in described(tmp_path / f"model{original.suffix}", original)


def test_verify_names_the_tensor(built: Toy, original: Path):
    """A file that the store, the manifest and the pointer know, and then one bit of it changed."""
    file = built.path / f"results/parts/model{original.suffix}"
    data = bytearray(original.read_bytes())
    stored = built.path / "results/.store/objects" / digest.of_bytes(bytes(data))[:2] / digest.of_bytes(bytes(data))[2:]
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_bytes(data)
    data[data.index(tensors()["layers.7.weight"].tobytes())] ^= 1
    file.write_bytes(data)
    manifest = built.path / "results/parts/manifest.json"
    stated = json.loads(manifest.read_text())
    stated["files"].append({"path": file.name, "sha256": digest.of_bytes(original.read_bytes()), "size": len(data)})
    write(manifest, json.dumps(stated).encode())
    pointer = built.path / "results/.records/parts/manifest.json.json"
    known = json.loads(pointer.read_text())
    write(pointer, json.dumps(known | {"sha256": digest.of_bytes(manifest.read_bytes())}).encode())
    assert f"{file.relative_to(built.path)} was changed after it was built" in the_fault(built)
    assert ": layers.7.weight" in the_fault(built)
