"""Makes a row's product with a matrix the same bytes whatever rows are beside it, where torch's product does not.

On Intel's processors libraries choose the order of sums by the number of rows, beyond what padding evens out: oneDNN
where it multiplies tiles (AMX) in bf16, MKL in fp32. There the kernel of kernels/tiles.py takes the place of the one.
MKL has one order from 16 rows on where it has one thread, so rows are filled up to `least_rows`; where it has more,
oneDNN's product, which for two rows and more has one order, takes its place. Who needs equal bytes, the engine and the
training pass that is to agree with it, computes within `row_by_row()`. Measured: docs/inference.md.

Legend: M rows, N outputs, K inputs, P panels.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

try:
    from kernels.tiles import has_tiles, multiply
except ImportError:  # where only torch and numpy are installed
    multiply = None  # type: ignore[assignment]

PANEL, TOGETHER = 64, 32  # outputs of a panel; inputs of a tile's row
TILES = 0  # the "cut" of a matrix that is multiplied by tiles
WORTH_A_THREAD = 2**22  # products of two numbers
MULTIPLE = 8  # of rows, at which a product gives each the same bytes
PROBED = (8, 16, 24, 64, 128)  # rows
PROBES = ((64, 352), (16, 768), (576, 1536), (2048, 2048))  # outputs and inputs


@cache
def uses_tiles() -> bool:
    """Would oneDNN multiply bf16 by tiles, and can the kernel? A person can forbid oneDNN to."""
    allowed = os.environ.get("ONEDNN_MAX_CPU_ISA", os.environ.get("DNNL_MAX_CPU_ISA", "DEFAULT")).upper()
    return multiply is not None and ("AMX" in allowed or allowed in ("DEFAULT", "ALL", "")) and has_tiles()


@cache
def least_of(n_threads: int) -> int:
    """Return from how many rows on torch gives the same fp32 rows at all multiples of 8, found by comparing; 0: from
    none."""
    generator = torch.Generator().manual_seed(0)
    least = 0
    for n_out, n_in in PROBES:
        weight_NK, x_MK = (torch.randn((n, n_in), generator=generator) for n in (n_out, 2 * PROBED[-1]))
        expected_MN = F.linear(x_MK, weight_NK)
        differing = [n for n in PROBED if not torch.equal(F.linear(x_MK[:n], weight_NK), expected_MN[:n])]
        least = max([least, *differing])
    return next((n for n in PROBED[:2] if n > least), 0)


def least_rows(weight: Tensor) -> int:
    """Return of how many rows at least torch's product with a matrix like this has to be."""
    if not weight.is_cpu or dtype_of_products(weight) != torch.float32:
        return MULTIPLE
    return least_of(torch.get_num_threads()) or MULTIPLE


def padded(n: int, multiple: int = MULTIPLE, least: int = 0) -> int:
    """Return n, brought to a multiple and to the least."""
    return max(least, -(-n // multiple) * multiple)


def replaces(dtype: torch.dtype) -> bool:
    """Is torch's product of this dtype one whose rows depend on their number, and is there another?"""
    if dtype == torch.bfloat16:
        return uses_tiles()
    return dtype == torch.float32 and torch.backends.mkldnn.is_available() and not least_of(torch.get_num_threads())


def row_by_row(weight: Tensor, needed: bool = True) -> AbstractContextManager[Any]:
    """Within it F.linear on the CPU is `linear`, where that differs for products with matrices like this one. needed:
    is F.linear called at all? Each function of torch takes a microsecond longer there."""
    needed = needed and weight.is_cpu and weight.is_floating_point() and replaces(dtype_of_products(weight))
    return InTheirPlace() if needed else nullcontext()


def dtype_of_products(weight: Tensor) -> torch.dtype:
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else weight.dtype


class InTheirPlace(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.addmm and not kwargs:  # what llm/model/plus.py calls: added, rows, matrix turned round
            return added_to(*args)
        return (linear if func is F.linear else func)(*args, **(kwargs or {}))


def added_to(added_MN: Tensor, x_MK: Tensor, weight_KN: Tensor) -> Tensor:
    """Return torch.addmm of these, likewise: a sum of bf16 that is rounded once."""
    if added_MN.dtype != torch.bfloat16 or added_MN.shape != (len(x_MK), weight_KN.shape[1]):
        return torch.addmm(added_MN, x_MK, weight_KN)
    return linear(x_MK, weight_KN.t(), added_MN)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return F.linear(input, weight, bias), [..., N] in the dtype that it has there, by rows at multiples of 8.
    bias: [N], or [M, N] for M rows."""
    with_autocast = torch.is_autocast_enabled("cpu") and weight.is_cpu and weight.is_floating_point()
    dtype = torch.get_autocast_dtype("cpu") if with_autocast else weight.dtype
    fits = input.is_cpu and weight.is_cpu and weight.ndim == 2 and (with_autocast or input.dtype == dtype)
    if not fits or not replaces(dtype):
        if bias is not None and bias.ndim == 2:
            return torch.addmm(bias, input, weight.t())
        return F.linear(input, weight, bias)
    x_MK, weight_NK = input.reshape(-1, weight.shape[1]).to(dtype), weight.to(dtype)
    y_MN = Product.apply(x_MK, weight_NK, None if bias is None else bias.to(dtype))
    return y_MN.view(*input.shape[:-1], len(weight))


class Product(torch.autograd.Function):
    """Forward by rows that do not depend on each other; backward by torch's products."""

    @staticmethod
    def forward(ctx, x_MK, weight_NK, bias):
        ctx.save_for_backward(x_MK, weight_NK)
        ctx.bias_ndim = 0 if bias is None else bias.ndim
        if x_MK.dtype == torch.float32:
            n_rows = len(x_MK)
            x_MK = x_MK.expand(2, -1) if n_rows == 1 else x_MK
            return torch.ops.mkldnn._linear_pointwise.default(x_MK, weight_NK, bias, "none", [], "")[:n_rows]
        n_rows, n_out = len(x_MK), len(weight_NK)
        if n_rows < n_out:  # a product's factors can change places
            panels = in_panels(x_MK)
            turned = None if bias is None else bias.expand(n_rows, n_out).T
            return by_tiles(weight_NK, panels.data_ptr(), panels[0].nbytes, n_rows, turned).T.contiguous()
        panels = in_panels(weight_NK)
        return by_tiles(x_MK, panels.data_ptr(), panels[0].nbytes, n_out, bias)

    @staticmethod
    def backward(ctx, grad_MN):
        x_MK, weight_NK = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            grad_MN @ weight_NK if needs_x else None,
            grad_MN.T @ x_MK if needs_weight else None,
            (grad_MN.sum(0) if ctx.bias_ndim == 1 else grad_MN) if needs_bias else None,
        )


def in_panels(weight_NK: Tensor) -> Tensor:
    """Return a bf16 matrix in the panels of kernels/panels.py, [P, K / 2, 128], filled up with zeros."""
    n_out, n_in = weight_NK.shape
    padded = F.pad(weight_NK, (0, -n_in % TOGETHER, 0, -n_out % PANEL)).contiguous()
    return padded.view(torch.int32).unflatten(0, (-1, PANEL)).transpose(1, 2).contiguous().view(torch.bfloat16)


def by_tiles(x_MK: Tensor, address: int, panel_bytes: int, n_out: int, bias: Tensor | None) -> Tensor:
    """Return the product of bf16 rows with the panels at an address, and the bias [N] or [M, N], as bf16 [M, N]."""
    x_MK = x_MK.contiguous()
    y_MN, bias_address, bias_bytes = x_MK.new_empty((len(x_MK), n_out)), 0, 0
    if bias is not None:
        bias = bias.contiguous()
        bias_address, bias_bytes = bias.data_ptr(), 2 * n_out * (bias.ndim - 1)
    n_rows, n_in = x_MK.shape
    given = x_MK.data_ptr(), n_rows, n_in, address, panel_bytes, n_out, bias_address, bias_bytes
    n_panels = -(-n_out // PANEL)
    over_panels(lambda first, end: multiply(*given, first, end, y_MN.data_ptr()), n_panels, x_MK, n_out)
    return y_MN


def worth_threads(x_MK: Tensor, n_out: int) -> bool:
    """Are there so many products that handing some of them over takes less time than they do?"""
    return x_MK.numel() * n_out >= WORTH_A_THREAD


def over_panels(multiply_panels: Callable[[int, int], Any], n_panels: int, x_MK: Tensor, n_out: int) -> None:
    """Multiply by all panels, of which a call takes those from the first given to before the second: on as many threads
    as torch uses, where that is worth while."""
    n_threads = torch.get_num_threads()
    if n_threads == 1 or not worth_threads(x_MK, n_out):
        multiply_panels(0, n_panels)
        return
    bounds = [n_panels * thread // n_threads for thread in range(n_threads + 1)]
    pairs = zip(bounds[1:], bounds[2:], strict=False)
    waiting = [helpers(n_threads).submit(multiply_panels, *pair) for pair in pairs]
    multiply_panels(0, bounds[1])
    for future in waiting:
        future.result()


@cache
def helpers(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads)
