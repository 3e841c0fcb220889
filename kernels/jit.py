"""`jit` compiles a function of integers, floats and arrays to machine code at its first call (numba).

Compiled code is cached between processes only where NUMBA_CACHE_DIR says so. Numba notices a change in a function's own
file but not in those of functions that it calls, so whoever sets the variable must change it with the code of this
folder (the build engine is more precise: stemma/code/compiled_kernels.py); `jit` is for modules in here alone. Without
the variable each process compiles anew.

Fast-math is off: the same operations run in the same order, so a kernel gives the same bits on every processor. The
exception is `jit_sums`, for sums in whatever order the processor adds fastest, of which only the size counts. The GIL
is released: a kernel may run on several threads at once.
"""

import os

import numba

CACHE = bool(os.environ.get("NUMBA_CACHE_DIR"))

jit = numba.njit(cache=CACHE, nogil=True, error_model="numpy")
jit_sums = numba.njit(cache=CACHE, nogil=True, error_model="numpy", fastmath={"reassoc", "nsz"})
