"""MinHash signatures on a GPU: minhash.cu through CuPy, with the arguments and the bits of kernels/minhash.py.

CuPy is imported only where there is a driver, so a machine without a GPU needs none.
"""

import ctypes
from functools import cache
from pathlib import Path

import numpy as np

from kernels.minhash import NO_SHINGLE
from kernels.minhash import signatures as on_cpu

DATA_FILES = ("minhash.cu",)
THREADS = 128
MOST_WORDS = 64  # tokens in a shingle; this and THREADS as in minhash.cu
OPTIONS = ("-std=c++17",)
BLOCKS = 1 << 16


def source() -> str:
    """Return the kernel in CUDA C++."""
    return Path(__file__).with_name("minhash.cu").read_text()


@cache
def available() -> bool:
    """Is there a GPU that CuPy can use?"""
    try:
        ctypes.CDLL("libcuda.so.1")
        import cupy

        return cupy.cuda.runtime.getDeviceCount() > 0
    except (OSError, ImportError):
        return False
    except cupy.cuda.runtime.CUDARuntimeError:
        return False


@cache
def kernel():
    """Return the kernel, compiled for the GPU at hand."""
    import cupy

    return cupy.RawKernel(source(), "minhash", options=OPTIONS)


def signatures(data: np.ndarray, offsets: np.ndarray, a: np.ndarray, b: np.ndarray, words: int = 5) -> np.ndarray:
    """Return the same as kernels.minhash.signatures: u32 [n_documents, permutations] of u8 [n_bytes], i64 [n_documents
    + 1] and twice u32 [permutations], which are copied to the GPU. Shingles of more than MOST_WORDS are left to the
    CPU."""
    if words > MOST_WORDS:
        return on_cpu(data, offsets, a, b, words)
    import cupy

    n = len(offsets) - 1
    result = cupy.full((n, len(a)), NO_SHINGLE, dtype=cupy.uint32)
    if n:
        launch(cupy.asarray(data), cupy.asarray(offsets), cupy.asarray(a), cupy.asarray(b), words, result)
    return cupy.asnumpy(result)


def launch(data, offsets, a, b, words: int, result) -> None:
    """Start the kernel on arrays of the GPU."""
    n = len(offsets) - 1
    kernel()(
        (min(n, BLOCKS),), (THREADS,), (data, offsets, np.int32(n), a, b, np.int32(len(a)), np.int32(words), result)
    )
