"""Defines what a job's processes may read and write, for the two enforcers: the guard in Python, Landlock in the
kernel.

Readable are the frozen code, the declared inputs, the environment's packages, and the system's programs and libraries.
Writable are the job's own place, its scratch space, its logs, and devices. A job that fetches may read everything,
since what it fetches is pinned by its digest, and may also write to the cache. Where the kernel has no Landlock only
the guard enforces this; the record says which it was.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stemma.code.distributions import modules_of
from stemma.execute.action import Action
from stemma.execute.landlock import OF_FILES, READ, REFER, WRITE, Ruleset, version
from stemma.store import artifact

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/opt", "/nix", "/gnu", "/cvmfs")
STATE = ("/proc", "/sys", "/run", "/var/cache", "/var/lib")
DEVICES = ("/dev", "/tmp/nvidia-mps")
PARTS = ("bin", "sbin", "lib", "lib64", "libexec", "include", "share", "etc")  # folders of an installation prefix
MORE = "STEMMA_READABLE"  # names further directories of the machine's software


@dataclass(frozen=True)
class Confinement:
    """What one job may read and write. `own`: directories that it may write to."""

    action: Action
    own: tuple[Path, ...]

    @property
    def zones(self) -> tuple[Path, Path]:
        """The directories where nothing undeclared may be read, even if they lie below a directory of the system."""
        return self.action.root, Path.cwd()

    def inputs(self) -> Iterator[Path]:
        """Yield the files of the declared artifacts."""
        for item in self.action.inputs:
            path = Path(item.path).absolute()
            if item.record is not None:
                names = artifact.listed(path) if artifact.is_directory(path) else ()
                yield from (path, *(path.parent / name for name in names))

    def sources(self) -> Iterator[Path]:
        """Return the files and directories from outside the workflow."""
        return (Path(item.path).absolute() for item in self.action.inputs if item.record is None)

    def packages(self) -> list[Path]:
        """Return where Python and its packages are."""
        return [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent.parent]

    def software(self) -> Iterator[Path]:
        """Yield where the system's programs and libraries are, and those that PATH, LD_LIBRARY_PATH and so on lead
        to."""
        yield from map(Path, SYSTEM + STATE)
        for name in ("PATH", "LD_LIBRARY_PATH", "CUDA_HOME", "CUDA_PATH", MORE):
            for folder in filter(os.path.isabs, os.environ.get(name, "").split(os.pathsep)):
                yield Path(folder)
                if name == "PATH":
                    yield from (Path(folder).parent / part for part in PARTS)

    def policy(self, script: str, here: Path) -> dict:
        """Return the policy that stemma/execute/guard.py enforces."""
        closure, root = self.action.closure, self.action.root
        trees = [*self.packages(), *self.own, *self.sources()]
        return {
            "script": script,
            "directory": str(Path.cwd()),
            "here": str(here),
            "zones": list(map(str, self.zones)),
            "trees": list(map(str, trees)),
            "code": [str(root / name) for name in (*closure.modules, *closure.data_files)],
            "network": closure.network,
            "modules": sorted(modules_of(closure.distributions)),
            "distributions": list(closure.distributions),
        }

    def ruleset(self) -> Ruleset | None:
        """Return the kernel's ruleset, which the caller closes; None where there is no Landlock."""
        if not version():
            return None
        closure = self.action.closure
        rules = Ruleset(reads=not closure.network)
        rules.allow(READ | WRITE, [*self.own, *map(Path, DEVICES)])
        if closure.network:
            return rules
        rules.allow(READ, [*self.packages(), *self.sources()])
        for tree in self.software():
            rules.allow(READ, outside(tree, self.zones))
        # The kernel allows a hard link only in a directory that grants no more rights than the file has.
        inputs = list(self.inputs())
        rules.allow(OF_FILES if closure.links else READ, inputs)
        rules.allow(REFER, {path.parent for path in inputs} if closure.links else ())
        return rules

    def described(self) -> str:
        """Return what enforces the confinement, for the record."""
        kernel = f"Landlock ABI {version()}" if version() else ""
        if self.action.closure.network:
            return f"{kernel}, writes alone" if kernel else "nothing"
        return f"audit hook, {kernel}" if kernel else "audit hook"


def outside(tree: Path, zones: tuple[Path, ...]) -> list[Path]:
    """Return the parts of a tree that lie in none of the zones now: the tree itself if it contains no zone."""
    tree = tree.resolve()
    if any(tree.is_relative_to(zone) for zone in zones):
        return []
    if not any(zone.is_relative_to(tree) for zone in zones):
        return [tree]
    try:
        return [part for inner in sorted(tree.iterdir()) for part in outside(inner, zones)]
    except OSError:
        return []
