"""The CUDA kernel equals its CPU twin to the bit: on a GPU where there is one, and emulated by a C++ compiler; it
compiles for the GPUs it is meant for without spilling registers."""

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from kernels import minhash, minhash_gpu
from tests.kernels.test_minhash import EDGES, buffers

LONG = [
    " ".join(f"w{i}" for i in range(1500)),
    "x" * 5000,
    " " * 4500 + "one two",
    "a b c d" + " " * 4096,
    "中" * 1500,
    "é" * 2047 + " word " * 700,
    "y" * 2046 + " z " + "t" * 2050,
]


def assert_equal_to_twin(signatures, texts: list[str], permutations: int, words: int) -> None:
    data, offsets = buffers(texts)
    a, b = minhash.coefficients(permutations, seed=3)
    expected = minhash.signatures(data, offsets, a, b, words)
    assert np.array_equal(signatures(data, offsets, a, b, words), expected)


def cases(signatures) -> None:
    assert_equal_to_twin(signatures, [*EDGES, *LONG], 112, 5)
    assert_equal_to_twin(signatures, LONG[::-1], 130, 1)
    assert_equal_to_twin(signatures, [*LONG, *EDGES], 3, 64)
    assert_equal_to_twin(signatures, ["", ""], 4, 5)


@pytest.mark.skipif(not minhash_gpu.available(), reason="no GPU that CuPy can use")
def test_equal_on_a_gpu() -> None:
    cases(minhash_gpu.signatures)
    assert_equal_to_twin(minhash_gpu.signatures, [], 4, 5)
    assert_equal_to_twin(minhash_gpu.signatures, EDGES, 4, minhash_gpu.MOST_WORDS + 1)


@pytest.mark.skipif(not shutil.which("g++"), reason="no g++ to emulate the kernel with")
def test_equal_emulated(tmp_path: Path) -> None:
    library = tmp_path / "minhash.so"
    subprocess.run(
        ["g++", "-std=c++20", "-O1", "-pthread", "-shared", "-fPIC", f"-I{Path(minhash_gpu.__file__).parent}",
         "-x", "c++", str(Path(__file__).with_name("emulate.hpp")), "-o", str(library)], check=True,
    )  # fmt: skip
    run = ctypes.CDLL(str(library)).run

    def signatures(data, offsets, a, b, words):
        n, data = len(offsets) - 1, np.ascontiguousarray(data)
        result = np.full((n, len(a)), minhash.NO_SHINGLE, dtype=np.uint32)
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (data, offsets, a, b, result)]
        run(*pointers[:2], n, *pointers[2:4], len(a), words, pointers[4], 3)
        return result

    cases(signatures)


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_compiles_within_bounds(architecture: str) -> None:
    """With 64 registers 8 blocks of 128 threads find room in a multiprocessor of 65,536."""
    nvrtc = pytest.importorskip("cupy_backends.cuda.libs.nvrtc", reason="CuPy with NVRTC is not installed")
    program = nvrtc.createProgram(minhash_gpu.source(), "minhash.cu", [], [])
    options = (f"--gpu-architecture={architecture}", "--ptxas-options=-v", *minhash_gpu.OPTIONS)
    nvrtc.compileProgram(program, options)
    log = nvrtc.getProgramLog(program)
    assert nvrtc.getCUBIN(program)[:4] == b"\x7fELF"
    assert "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads" in log
    assert int(re.search(r"Used (\d+) registers", log)[1]) <= 64
    assert int(re.search(r"(\d+) bytes smem", log)[1]) <= 40_000


def test_numbers_that_both_files_state() -> None:
    for name in ("THREADS", "MOST_WORDS"):
        assert re.search(rf"#define {name} (\d+)", minhash_gpu.source())[1] == str(getattr(minhash_gpu, name))
