"""Has the inference engine's kernels compiled before a model is there, by another process: compiling takes LLVM five
seconds and 60 MB, which the process that compiles never gives back.

What is compiled is kept for later starts, in a folder whose name changes with the kernels, numba and the processor. The
folder is never written to again: each process loads from a copy of its own (numba's files are not safe where several
processes add to them).
"""

import atexit
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numba
import numpy as np
from llvmlite.binding import get_host_cpu_features, get_host_cpu_name
from numba.core.dispatcher import Dispatcher

from kernels import attention, decoder, int8_panels, int8_tiles, layers, panels, tiles

HOUSE = Path(__file__).resolve().parents[1]


def load_compiled(kept: Path | None = None) -> None:
    """Load the engine's kernels, compiled by another process where they are not in `kept` (the user's cache). Does
    nothing where NUMBA_CACHE_DIR says that compiled code is kept already."""
    if os.environ.get("NUMBA_CACHE_DIR"):
        return
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = (kept or home / "stemma" / "numba") / f"engine-{digest()}"
    own = Path(tempfile.mkdtemp(prefix="kernels-"))
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    if is_own(folder):  # code that others could have written is not executed
        shutil.copytree(folder, own, dirs_exist_ok=True)
    else:
        subprocess.run([sys.executable, "-m", "kernels.ahead", str(own)], cwd=HOUSE, check=True)
        keep(own, folder)
    use(own)


def use(folder: Path) -> None:
    """Let the kernels load what is in a folder, and compile what is not."""
    vars(numba.config)["CACHE_DIR"] = str(folder)
    for kernel in engine_kernels():
        kernel.enable_caching()
    call_all()


def keep(source: Path, folder: Path) -> None:
    """Copy a folder to where no other is, in one step."""
    beside = folder.with_name(f"{folder.name}-{os.getpid()}")
    try:
        shutil.copytree(source, beside)
        beside.rename(folder)
    except OSError:  # no room, no right, or another process was first: it is compiled again next time
        shutil.rmtree(beside, ignore_errors=True)


def is_own(folder: Path) -> bool:
    """Is there such a folder, which this user alone can write to?"""
    if not folder.is_dir():
        return False
    status = folder.stat()
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


def digest() -> str:
    """Return a name for what is compiled here."""
    files = [
        f"{file}{file.stat().st_mtime_ns}".encode() + file.read_bytes() for file in sorted(HOUSE.glob("kernels/*.py"))
    ]
    machine = f"{numba.__version__}{get_host_cpu_name()}{get_host_cpu_features().flatten()}".encode()
    return hashlib.sha256(b"".join([*files, machine])).hexdigest()[:16]


def engine_kernels() -> Iterator[Dispatcher]:
    for module in (attention, decoder, int8_panels, int8_tiles, layers, panels, tiles):
        yield from (value for value in vars(module).values() if isinstance(value, Dispatcher))


def call_all() -> None:
    """Call each kernel on little, with the types that the engine gives: bf16 rows, keys and values in bf16 or fp32."""
    bf16, fp32, longs = (np.zeros((2, 128), dtype) for dtype in (np.int16, np.float32, np.int64))
    positions = longs[0, :2]
    heads, scales, one = fp32.reshape(2, 2, 64), np.ones((2, 1, 1, 1), np.float32), np.float32(1)
    items, silu = np.array([[0, 0, 0, 1]]), np.zeros(2**16, np.float32)
    for kind, dtype in ((attention.BFLOAT16, np.int16), (attention.DENSE, np.float32)):
        keys, values = np.zeros((2, 1, 64, 32), dtype), np.zeros((2, 1, 32, 64), dtype)
        slopes = np.zeros(2, np.float32)
        attention.attend(heads, keys, values, scales, kind, longs, positions, slopes, items, np.zeros_like(heads))
        if kind == attention.BFLOAT16:
            qkv = np.zeros((2, 256), np.int16)
            decoder.rotate_and_store(
                qkv, fp32[:, :64].copy(), fp32[:, :64].copy(), positions, positions, keys, values, heads
            )
    decoder.square_sums(fp32, 8, np.zeros(2, np.float32))
    decoder.add_and_normalise(bf16, bf16, True, bf16[0], one, 8, bf16)
    decoder.gate(np.zeros((2, 256), np.int16), silu, bf16)
    decoder.likeliest(bf16, positions)
    panels.rows_of_panels(np.zeros((1, 2, 64), np.int32), positions, np.zeros((2, 2), np.int32))
    if panels.has_instruction():
        weight = np.zeros(8192, np.int8)
        address = -(-weight.ctypes.data // 64) * 64
        panels.multiply(bf16.ctypes.data, 2, 2, address, panels.PAIR_BYTES, 64, 2, 0, 0, 0, 1, bf16.ctypes.data)
        call_layers()
    if tiles.has_tiles():
        rows, product = np.zeros((2, 32), np.int16), np.zeros((2, 64), np.int16)
        weight = np.zeros(tiles.STEP, np.int8)
        tiles.multiply(rows.ctypes.data, 2, 32, weight.ctypes.data, tiles.STEP, 64, 0, 0, 0, 1, product.ctypes.data)
    if int8_panels.has_instruction():
        bytes_, weights = np.zeros((2, 4), np.uint8), int8_panels.in_panels(np.zeros((64, 4), np.int8))
        int8_panels.round_to_bytes(bf16[:, :4].copy(), one, one, False, fp32[0, :2], bytes_)
        given = fp32[0, :2], weights[0].ctypes.data, weights[1], fp32[0, :64], 64, 0, 1
        int8_panels.multiply_bytes(bytes_, *given, bf16[:, :64].copy())
        if tiles.has_tiles("amx-int8"):
            bytes_, weights = np.zeros((2, 64), np.uint8), int8_panels.in_panels(np.zeros((64, 64), np.int8))
            given = fp32[0, :2], weights[0].ctypes.data, weights[1], fp32[0, :64], 64, 0, 1
            int8_tiles.multiply_bytes(bytes_, *given, bf16[:, :64].copy())


def call_layers() -> None:
    """Run a row of 64 zeros through a layer of zeros: three panels for queries, keys and values."""
    weight = np.zeros(3 * 32 * panels.PAIR_BYTES + 64, np.int8)
    matrices = np.array([[[-(-weight.ctypes.data // 64) * 64, 32 * panels.PAIR_BYTES, 64, 0]] * 4])
    row, norms, turn, nowhere = np.zeros((1, 64), np.int16), np.zeros((3, 64), np.int16), np.zeros((1, 64)), np.zeros(1)
    turns, zero = (turn.astype(np.float32), turn.astype(np.float32)), nowhere.astype(np.int64)
    pool = np.zeros((1, 2, 1, 64, 32), np.int16), np.zeros((1, 2, 1, 32, 64), np.int16)
    scales, silu = np.ones((2, 1, 1, 1), np.float32), np.zeros(2**16, np.float32)
    places = zero, zero, zero, zero[None], np.array([[0, 0, 0, 1]]), nowhere.astype(np.float32), scales
    layers.run_layers(row, matrices, norms, np.float32(1), 8, silu, 64, turns, pool, places, row.copy())


if __name__ == "__main__":
    use(Path(sys.argv[1]))
