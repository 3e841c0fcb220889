"""Examines processor, memory, kernel, GPUs and Slurm, from what the system says of itself; nothing is changed."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import psutil

from stemma.base.wording import size_text
from stemma.cluster.slurm import Unanswered, ask
from stemma.code import numeric
from stemma.doctor.finding import Finding, fine, note, stop
from stemma.execute import landlock

GIGABYTE = 10**9
LITTLE = 2 * GIGABYTE  # bytes of memory: what the largest step of the default run takes
USER_NAMESPACES = Path("/proc/sys/user/max_user_namespaces")
FORBIDDING = {  # settings of distributions that forbid users to make namespaces, and the value that forbids it
    Path("/proc/sys/kernel/unprivileged_userns_clone"): "0",
    Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"): "1",
}
SEES_GPUS = "import torch; print(torch.cuda.device_count(), torch.version.cuda)"
EXECUTOR = "snakemake-executor-plugin-slurm"
PATIENCE = 120.0  # seconds: torch is large, and its disk may be slow


def machine() -> Iterator[Finding]:
    """Examine the processor and memory that jobs may use."""
    allowed, there = len(os.sched_getaffinity(0)), os.cpu_count() or 1
    cores = f"{allowed} core{'' if allowed == 1 else 's'}"
    if allowed < there:
        cores += f" of {there} (the others are not this process's; see taskset, the container or Slurm's allocation)"
    yield fine("processor", f"{cores}; {numeric.instruction_set()}")
    memory, limit = psutil.virtual_memory(), memory_limit()
    total = min(memory.total, limit or memory.total)
    free = min(memory.available, total)
    text = f"{size_text(free)} free of {size_text(total)}"
    if limit and limit < memory.total:
        text += f" (a control group's limit; the machine has {size_text(memory.total)})"
    if free < LITTLE:
        yield note(
            "memory", f"{text}; the default run takes up to {size_text(LITTLE)}: end something else, or lower --cores"
        )
    else:
        yield fine("memory", text)
    version = platform.python_version()
    if sys.platform != "linux":
        yield note("system", f"{platform.platform()}: tried on Linux alone; processes are not confined elsewhere")
    else:
        yield fine("system", f"{platform.system()} {platform.release()}, Python {version}")


def memory_limit(groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return the bytes that this process's control groups allow (version 1 or 2); None where no limit is set."""
    limits = []
    for line in groups.read_text().splitlines() if groups.is_file() else ():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        top, name = (root / "memory", "memory.limit_in_bytes") if controllers else (root, "memory.max")
        place = top / path.lstrip("/")
        for folder in (place, *place.parents):
            text = (folder / name).read_text().strip() if (folder / name).is_file() else "max"
            limits += [int(text)] if text.isdigit() else []
    return min(limits, default=None)


def kernel() -> Iterator[Finding]:
    """Examine what the kernel offers to confine jobs to what they declare."""
    found = landlock.version()
    if found:
        yield fine("Landlock", f"ABI {found}: a job's processes read and write where it is declared, alone")
    else:
        yield note(
            "Landlock",
            "not there: native code and other programs of a job may read what nobody declared, and only Python is "
            "watched; it takes Linux 5.19 with `landlock` in the kernel's lsm= list",
        )
    refused = namespaces_refused()
    if refused:
        yield note("user namespaces", f"{refused}; the engine needs none, apptainer without setuid does")
    else:
        yield fine("user namespaces", "allowed; the engine needs none, apptainer without setuid does")


def namespaces_refused() -> str | None:
    """Return why users may make no namespaces; None where nothing forbids it."""
    for setting, value in FORBIDDING.items():
        if setting.is_file() and setting.read_text().strip() == value:
            return f"refused to users ({setting.name} is {value})"
    if not USER_NAMESPACES.is_file():
        return "not in this kernel"
    return None if int(USER_NAMESPACES.read_text()) else f"refused ({USER_NAMESPACES.name} is 0)"


def gpus(driver: Path = numeric.DRIVER) -> Iterator[Finding]:
    """Examine the GPUs, and whether the installed torch sees them."""
    if os.environ.get(numeric.HIDE_GPUS) == "":
        yield note("GPU", f"hidden: {numeric.HIDE_GPUS} is empty; unset it to use them")
        return
    models = numeric.gpus(driver)
    if not models:
        yield fine("GPU", "none; jobs run on the processor")
        return
    command = [sys.executable, "-c", SEES_GPUS]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
        count, built_for = done.stdout.split()
    except (subprocess.SubprocessError, ValueError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1]
        yield stop("GPU", f"{models}, and torch cannot be asked ({said}); install a torch that this driver takes")
        return
    if count == "0":
        built = "without CUDA" if built_for == "None" else f"for CUDA {built_for}, which the driver does not take"
        yield note(
            "GPU", f"{models}, which torch does not see: it was built {built}; install another build (docs/gpu.md)"
        )
    else:
        yield fine("GPU", f"{models}; torch sees {count}, by CUDA {built_for}")


def slurm() -> Iterator[Finding]:
    """Examine Slurm, for builds with its profile."""
    if shutil.which("sbatch") is None:
        yield fine("Slurm", "not here; without profiles/slurm nothing asks for it")
        return
    try:
        lines = [line.split("|") for line in ask("sinfo", "--noheader", "-o", "%P|%a|%D|%t").splitlines()]
    except Unanswered as why:
        yield note("Slurm", f"does not answer: {why}; --profile profiles/slurm would wait for it: see `scontrol ping`")
        return
    usable = [line for line in lines if line[1] == "up" and line[3].rstrip("*~#!%$@^-") in ("idle", "mix", "alloc")]
    nodes = sum(int(line[2]) for line in usable)
    names = ", ".join(dict.fromkeys(line[0].rstrip("*") for line in lines))
    if not nodes:
        yield note("Slurm", f"no node can take a job (partitions: {names or 'none'}); see `sinfo -R`")
    else:
        yield fine("Slurm", f"{nodes} node{'' if nodes == 1 else 's'} can take jobs; partitions: {names}")
    try:
        metadata.version(EXECUTOR)
    except metadata.PackageNotFoundError:
        yield note("Slurm", f"{EXECUTOR} is not installed, and profiles/slurm needs it; `make setup` installs it")
