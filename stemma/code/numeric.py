"""The numeric class: what changes the bytes of trained artifacts though nobody asked for it, the device and its CPU
instruction set.

`native` uses the machine as it is and puts its GPUs and its instruction set into the action key; training on a GPU then
has to use deterministic algorithms. `portable` hides GPUs and pins the three libraries that choose kernels by processor
to AVX2, so that every x86-64 machine with AVX2 should give the same bytes. Names of environment variables and of one
marker distribution are all that this module knows of the libraries.
"""

import os
import platform
from functools import cache
from pathlib import Path

from stemma.base.errors import StemmaError
from stemma.code.closure import Closure

HIDE_GPUS = "CUDA_VISIBLE_DEVICES"
DRIVER = Path("/proc/driver/nvidia/gpus")
# These variables select GPUs, or how ranks on GPUs sum: they may pass into a job.
SELECTING = (HIDE_GPUS, "CUDA_DEVICE_ORDER", "NCCL_ALGO", "NCCL_PROTO")
PORTABLE = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "COMPATIBLE", HIDE_GPUS: ""}
MODES = ("native", "portable")
RELEVANT = ("avx", "avx2", "fma", "avx512", "amx")
SENSITIVE = ("torch",)


def is_sensitive(closure: Closure) -> bool:
    """Can this script's bytes depend on floating-point hardware? They can if its closure has a tensor library."""
    return any(name in closure.distributions for name in SENSITIVE)


def mode_of(closure: Closure, mode: str) -> str:
    """Return the part of the numeric class that is known before a machine is chosen, for the expected key. Raises
    StemmaError for an unknown mode."""
    if mode not in MODES:
        raise StemmaError(f"numeric: {mode!r} in the config is not one of {', '.join(MODES)}")
    return mode if is_sensitive(closure) else "exact"


def class_of(closure: Closure, mode: str) -> str:
    """Return the whole numeric class on this machine, for the action key."""
    part = mode_of(closure, mode)
    if part != "native":
        return part
    device = gpus()
    return f"native {f'{device}{selection(device)} deterministic' if device else 'cpu'} {instruction_set()}"


def environment(mode: str) -> dict[str, str]:
    """Return the environment variables that put a child process into the mode's class."""
    return PORTABLE if mode == "portable" else {}


def gpus(driver: Path = DRIVER) -> str:
    """Return the models of the GPUs that a job may use, as the driver lists them: `NVIDIA H100 80GB HBM3`; "" for
    none."""
    if os.environ.get(HIDE_GPUS) == "":
        return ""
    lines = [line for file in driver.glob("*/information") for line in file.read_text().splitlines()]
    return ", ".join(sorted({line.partition(":")[2].strip() for line in lines if line.startswith("Model:")}))


def selection(device: str) -> str:
    """Return the set variables that change what GPUs compute. Which one of several equal GPUs is used does not
    matter."""
    names = [name for name in SELECTING if name in os.environ and ("," in device or name.startswith("NCCL_"))]
    return "".join(f" {name}={os.environ[name]}" for name in names)


@cache
def instruction_set() -> str:
    """Return the vendor and vector extensions of this processor, e.g. `x86_64 AuthenticAMD avx avx2 avx512_bf16 ...
    fma`.
    """
    fields: dict[str, str] = {}
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    flags = sorted(flag for flag in fields.get("flags", "").split() if flag.startswith(RELEVANT))
    return " ".join([platform.machine(), fields.get("vendor_id", platform.processor()), *flags]).strip()
