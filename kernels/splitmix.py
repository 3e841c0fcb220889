"""splitmix64's finalizer: every bit of the result depends on every bit of the argument, one 64-bit word."""

import numpy as np

from kernels.jit import jit


@jit
def mix64(x):
    """Mix a u64 by Stafford's variant 13."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
