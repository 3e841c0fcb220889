"""The MinHash kernel on a GPU: equal to its CPU twin? And how near to what the card could do?

    python -m benchmarks.minhash_gpu [--megabytes 256] [--check]

Time is the kernel's alone (events of the GPU, median of 20), then with the copies. The roofline: the bytes of the texts
and signatures at the memory's speed, and one multiply-add and one minimum for each component of each shingle at 64 of
each per multiprocessor and clock. With --check nothing is timed. Without a GPU it says so and ends.
"""

import argparse
import statistics
import sys
import time

import numpy as np

from kernels import minhash, minhash_gpu
from tests.kernels.minhash_parts import shingles


def texts(megabytes: int) -> tuple[np.ndarray, np.ndarray]:
    """Documents of some 4 kB of words of 1 to 10 letters."""
    generator = np.random.Generator(np.random.PCG64(0))
    data = generator.integers(ord("a"), ord("z") + 1, megabytes << 20, dtype=np.uint8)
    data[np.cumsum(generator.integers(2, 12, len(data) // 8)).clip(max=len(data) - 1)] = ord(" ")
    borders = np.sort(generator.integers(0, len(data), len(data) // 4096))
    return data, np.concatenate([[0], borders, [len(data)]]).astype(np.int64)


def kernel_seconds(data: np.ndarray, offsets: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """The kernel alone, on arrays that lie on the GPU: median of 20."""
    import cupy

    arrays = [cupy.asarray(array) for array in (data, offsets, a, b)]
    result = cupy.full((len(offsets) - 1, len(a)), minhash.NO_SHINGLE, dtype=cupy.uint32)
    seconds = []
    for _ in range(20):
        begin, end = cupy.cuda.Event(), cupy.cuda.Event()
        begin.record()
        minhash_gpu.launch(*arrays, 5, result)
        end.record()
        end.synchronize()
        seconds.append(cupy.cuda.get_elapsed_time(begin, end) / 1e3)
    return statistics.median(seconds)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if not minhash_gpu.available():
        print("no GPU that CuPy can use: nothing is timed")
        return 0
    import cupy

    data, offsets = texts(options.megabytes)
    a, b = minhash.coefficients(112, seed=0)
    found = minhash_gpu.signatures(data, offsets, a, b)
    equal = np.array_equal(found, minhash.signatures(data, offsets, a, b))
    print("equal to the CPU twin:", equal)
    if options.check:
        return int(not equal)
    kernel = kernel_seconds(data, offsets, a, b)
    start = time.perf_counter()
    minhash_gpu.signatures(data, offsets, a, b)
    whole = time.perf_counter() - start
    card = cupy.cuda.runtime.getDeviceProperties(0)
    attributes = cupy.cuda.Device().attributes
    memory = 2 * attributes["MemoryClockRate"] * 1e3 * attributes["GlobalMemoryBusWidth"] / 8
    operations = len(shingles(data, offsets)[0]) * len(a)
    by_memory = (data.nbytes + found.nbytes) / memory
    by_arithmetic = operations / (64 * card["multiProcessorCount"] * attributes["ClockRate"] * 1e3)
    print(f"{card['name'].decode()}: {data.nbytes / 1e9:.2f} GB of text, {len(offsets) - 1:,} documents")
    print(f"kernel {data.nbytes / kernel / 1e9:.1f} GB/s, with copies {data.nbytes / whole / 1e9:.1f} GB/s")
    print(f"of the roofline: arithmetic {by_arithmetic / kernel:.0%}, memory {by_memory / kernel:.0%}")
    return int(not equal)


if __name__ == "__main__":
    sys.exit(main())
