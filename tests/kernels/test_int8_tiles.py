"""Bytes multiplied by tiles: what the kernel for AVX512-VNNI gives, to the bit."""

import numpy as np
import pytest

from kernels import int8_panels, int8_tiles
from kernels.tiles import has_tiles


@pytest.mark.skipif(not has_tiles("amx-int8"), reason="this processor has no AMX for int8")
@pytest.mark.parametrize(("n_out", "n_in"), [(64, 64), (70, 128), (130, 576)])
def test_tiles_give_the_other_kernel_s_bytes(n_out: int, n_in: int) -> None:
    draw = np.random.default_rng(0)
    panels, away = int8_panels.in_panels(draw.integers(-128, 128, (n_out, n_in)).astype(np.int8))
    scales = draw.random(len(away)).astype(np.float32)
    for n_rows in (1, 15, 16, 17, 32, 33, 70):
        rows = draw.integers(0, 256, (n_rows, n_in)).astype(np.uint8)
        of_rows = draw.random(n_rows).astype(np.float32)
        expected, found = (np.full((n_rows + 1, n_out), 7, np.int16) for _ in range(2))
        for module, out in ((int8_panels, expected), (int8_tiles, found)):
            given = rows, of_rows, panels.ctypes.data, away, scales, n_out
            module.multiply_bytes(*given, 0, 1, out)
            module.multiply_bytes(*given, 1, len(panels), out)
        assert np.array_equal(found, expected) and (found[-1] == 7).all()
