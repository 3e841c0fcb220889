"""Computes model FLOPs utilisation (Chowdhery et al. 2022, PaLM, appendix B): the share that a training step needed of
what the hardware's matrix products could do in the same time. Recomputation, the optimizer and elementwise work do not
count.
"""

import functools
import statistics
import time

import torch

from llm.model.config import ModelConfig
from llm.model.counts import attention_products, total
from llm.model.counts import parameters as parameters_of
from llm.model.shape import Shape

PRODUCTS = 15
SIDE = {"cpu": 1024, "cuda": 8192}  # of the square products; beyond it a larger one is no faster


def flops_per_token(config: ModelConfig, context_length: int | None = None) -> int:
    """Return the FLOPs of forward and backward for one token: 6 N + 12 L H Q T.

    N: parameters without the lookup tables (token and learned position embeddings), but with the output layer, which is
    V d whether it is tied or not. L layers, H heads of size Q, T tokens: attention counted in full, as in the paper,
    though a causal one needs half. A multiply-add is two.
    """
    shape = Shape.of(config)
    counts = parameters_of(shape)
    n = (
        total(shape)
        - counts["embedding"]
        - counts["positions"]
        - counts["lm_head"]
        + config.vocab_size * config.d_model
    )
    return 6 * n + 3 * int(attention_products(shape, context_length or config.context_length))


def matmul_peak(dtype: torch.dtype, device: str = "cpu") -> float:
    """Measure the FLOP/s of square matrix products, the median of a few, on this machine with the present threads."""
    return measured_peak(dtype, device, torch.get_num_threads())


@functools.cache
def measured_peak(dtype: torch.dtype, device: str, threads: int) -> float:
    """Measure once for each process and number of threads. A generator of its own leaves other random numbers alone."""
    side = SIDE[device]
    generator = torch.Generator(device).manual_seed(0)
    a, b = (torch.randn(side, side, generator=generator, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    seconds = []
    for _ in range(PRODUCTS):
        begun = time.perf_counter()
        torch.mm(a, b, out=out)
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begun)
    return 2 * side**3 / statistics.median(seconds[3:])  # the first ones choose kernels and allocate
