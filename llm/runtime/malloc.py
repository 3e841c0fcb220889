"""Keeps freed memory in the process, or gives it back, and the pages of libraries' code. It changes speed, and no
result.

A training step frees and allocates the same tens of megabytes many times. By default glibc returns blocks of this size
to the kernel each time and then pays for every page again; on a busy machine that was most of the step.
"""

import ctypes
import mmap
import platform
import re
from pathlib import Path

# Private mappings of shared libraries that cannot be written to: begin, end, how many kB have been.
MAPPING = re.compile(r"^(\w+)-(\w+) r-[x-]p .*\.so[.\d]*\n(?:[A-Z].*\n)*?Anonymous: +(\d+) kB", re.MULTILINE)
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


def give_back_code() -> None:
    """Let the kernel take back the pages of libraries' machine code and constants, which come again from their files
    when they are used: what torch and LLVM need at their start alone is 100 MB. Does nothing on systems other than
    Linux."""
    maps = Path("/proc/self/smaps")
    if not hasattr(mmap, "MADV_DONTNEED") or not maps.exists():
        return
    libc = ctypes.CDLL(None)
    found = MAPPING.findall(maps.read_text())
    for begin, end, written in found:
        if not int(written):  # else they are no longer the file's, as those that the loader has relocated
            start = int(begin, 16)
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(int(end, 16) - start), mmap.MADV_DONTNEED)
