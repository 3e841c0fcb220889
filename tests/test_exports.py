"""Every export of every family: a bit changed in a tensor of it is told by that tensor's name, as `verify` tells it."""

import json
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from gguf import GGUFReader

from benchmarks.exports import FAMILIES, GGUF, LLAMALIKE, METHODS, PACKED, exports, read
from stemma.provenance.changed_tensors import described

TENSORS = 8  # of each file


def places(file: Path) -> Iterator[tuple[str, int, int]]:
    """Yield (name, first byte, bytes) of each tensor, as the formats' own packages or the format's text say it."""
    if file.suffix == ".gguf":
        yield from ((each.name, int(each.data_offset), int(each.n_bytes)) for each in GGUFReader(file).tensors)
        return
    data = file.read_bytes()
    size = 8 + int.from_bytes(data[:8], "little")
    for name, entry in json.loads(data[8:size]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            yield name, size + begin, end - begin


@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=() if name == "qwen3" else pytest.mark.thorough) for name in FAMILIES]
)
def test_a_bit_of_any_export_is_told_by_its_tensor(family: str, tmp_path: Path) -> None:
    chance = random.Random(1)
    seen = []
    for format_, path in exports(tmp_path, family, None):
        seen.append(format_)
        (file,) = [path] if path.is_file() else path.glob("*.safetensors")
        changed = tmp_path / f"changed{file.suffix}"
        found = list(places(file))
        for name, begin, size in chance.sample(found, min(TENSORS, len(found))):
            shutil.copy(file, changed)
            bit = chance.randrange(8 * size)
            with changed.open("r+b") as damaged:
                damaged.seek(begin + bit // 8)
                byte = damaged.read(1)[0]
                damaged.seek(begin + bit // 8)
                damaged.write(bytes([byte ^ 1 << bit % 8]))
            assert described(changed, file) == f": {name}", format_
    methods = METHODS if family in LLAMALIKE else ()
    assert seen == ["fp32", *methods, *(f"gguf {kind}" for kind in GGUF), *(f"gguf of {name}" for name in PACKED)]


def test_a_reader_that_crashes_is_not_quoted_by_its_last_warning(tmp_path: Path) -> None:
    code = "import os, sys; print('a warning: no error', file=sys.stderr); os.kill(os.getpid(), 4)"
    assert read(Path(sys.executable), code, tmp_path, [1]) == "ended by SIGILL"
    assert read(Path(sys.executable), "raise ValueError('too long')", tmp_path, [1]) == "ValueError: too long"
