"""Parts of benchmarks/gpu.py: what the card can do (`peaks`), the MinHash kernel beside its CPU twin (`minhash`)."""

import shutil
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import torch

from benchmarks.gpu_bench import Bench, Row, measured, median, nominal_peak
from llm.training.mfu import matmul_peak

COPIED = 4 << 30  # bytes
LAUNCHES = 1000
SANITIZED = "benchmarks.minhash_gpu"


def peaks(bench: Bench) -> Iterator[Row]:
    """bf16 products, copies within the card's memory, and what a launch costs."""
    found = matmul_peak(torch.bfloat16, bench.device)
    nominal = nominal_peak(bench.device)
    share = f"{found / nominal:.0%} of nominal {nominal / 1e12:.0f}" if nominal else ""
    yield Row("bf16 product", found / 1e12, "TFLOP/s", None, share)
    size = 1 << 20 if bench.small else COPIED
    source, target = (torch.empty(size, dtype=torch.uint8, device=bench.device) for _ in range(2))
    source.random_(0, 255)
    seconds = median(measured(bench, lambda: target.copy_(source), 0.5))
    yield Row("copy, bytes read and written", 2 * size / seconds / 1e9, "GB/s")
    little = torch.zeros(1, device=bench.device)

    def launches() -> None:
        for _ in range(LAUNCHES):
            little.add_(1)

    yield Row("one launch of many", median(measured(bench, launches, 0.5)) / LAUNCHES * 1e6, "us")
    yield Row("one launch, waited for", median(measured(bench, lambda: little.add_(1), 0.2)) * 1e6, "us")


def minhash(bench: Bench) -> Iterator[Row]:
    """Equal to the bit, from Arrow's buffers; speeds with and without the copies; nothing out of bounds."""
    from benchmarks.minhash_gpu import kernel_seconds, texts
    from kernels import minhash as on_cpu
    from kernels import minhash_gpu as on_gpu

    data, offsets = texts(1 if bench.small else 256)
    a, b = on_cpu.coefficients(112, seed=0)
    twin = on_cpu.signatures(data, offsets, a, b)
    seconds = median(measured(bench, lambda: on_cpu.signatures(data, offsets, a, b), 0.5, 1))
    yield Row("CPU, one thread", data.nbytes / seconds / 1e9, "GB/s")
    if bench.device == "cpu":
        return
    import pyarrow as pa

    column = pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))
    _, where, text = column.buffers()
    data, offsets = np.frombuffer(text, np.uint8), np.frombuffer(where, np.int64)
    found = on_gpu.signatures(data, offsets, a, b)
    yield Row("equal to the CPU's", float(np.array_equal(found, twin)), "", np.array_equal(found, twin))
    seconds = median(measured(bench, lambda: on_gpu.signatures(data, offsets, a, b), 1.0))
    yield Row("from Arrow's buffers, with copies", data.nbytes / seconds / 1e9, "GB/s")
    seconds = kernel_seconds(data, offsets, a, b)
    yield Row("kernel alone", data.nbytes / seconds / 1e9, "GB/s")
    yield sanitized()


def sanitized() -> Row:
    """compute-sanitizer's memcheck on a megabyte."""
    program = shutil.which("compute-sanitizer")
    if program is None:
        return Row("compute-sanitizer", 0.0, "errors", None, "is not installed")
    command = [program, "--tool", "memcheck", "--error-exitcode", "9", sys.executable, "-m", SANITIZED]
    done = subprocess.run([*command, "--megabytes", "1", "--check"], capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).strip().splitlines()
    return Row(
        "compute-sanitizer", float(done.returncode != 0), "errors", done.returncode == 0, said[-1] if said else ""
    )
