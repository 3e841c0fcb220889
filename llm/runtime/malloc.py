"""Keeps freed memory in the process, or gives it back. It changes speed, and no result.

A training step frees and allocates the same tens of megabytes many times. By default glibc returns blocks of this size
to the kernel each time and then pays for every page again; on a busy machine that was most of the step.
"""

import ctypes
import platform

# malloc.h; see mallopt(3)
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed_memory() -> None:
    """Serve large blocks from the heap and never shrink it. Does nothing with a C library other than glibc."""
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_MAX, 0)
    libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def give_back_freed_memory() -> None:
    """Return the heap's free pages to the kernel, those between blocks in use, too: where many large blocks have been
    replaced, once, these stay. Does nothing with a C library other than glibc."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
