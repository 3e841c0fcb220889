"""What a job's processes may read and write, said to those who keep it: the guard in Python, Landlock in the kernel.

Read: the frozen code and the declared inputs, the packages of the environment, the system's programs and libraries.
Written: the job's own place, its scratch space and its logs, devices. A job that fetches may read all, since what it
fetches is pinned by its digest, and may write where every job may, and into the cache. Where the kernel has no Landlock
the guard is all there is; the record says which it was.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stemma.execute.action import Action
from stemma.execute.landlock import OF_FILES, READ, REFER, WRITE, Ruleset, version
from stemma.store import artifact

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/opt", "/nix", "/gnu", "/cvmfs")
STATE = ("/proc", "/sys", "/run", "/var/cache", "/var/lib")
DEVICES = ("/dev", "/tmp/nvidia-mps")
PARTS = ("bin", "sbin", "lib", "lib64", "libexec", "include", "share", "etc")  # of what is installed below a directory
MORE = "STEMMA_READABLE"  # further directories of the machine's software


@dataclass(frozen=True)
class Confinement:
    """Of one job. `own`: directories that it may write to."""

    action: Action
    own: tuple[Path, ...]

    @property
    def zones(self) -> tuple[Path, Path]:
        """Where nothing may be read that was not declared, even below a directory of the system."""
        return self.action.root, Path.cwd()

    def inputs(self) -> Iterator[Path]:
        """The files of the artifacts that were declared."""
        for item in self.action.inputs:
            path = Path(item.path).absolute()
            if item.record is not None:
                names = artifact.listed(path) if artifact.is_directory(path) else ()
                yield from (path, *(path.parent / name for name in names))

    def sources(self) -> Iterator[Path]:
        """Files and directories from outside the workflow."""
        return (Path(item.path).absolute() for item in self.action.inputs if item.record is None)

    def packages(self) -> list[Path]:
        """Where Python and its packages are."""
        return [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent.parent]

    def software(self) -> Iterator[Path]:
        """Where the system's programs and libraries are, and those that the user's PATH and LD_LIBRARY_PATH lead to."""
        yield from map(Path, SYSTEM + STATE)
        for name in ("PATH", "LD_LIBRARY_PATH", "CUDA_HOME", "CUDA_PATH", MORE):
            for folder in filter(os.path.isabs, os.environ.get(name, "").split(os.pathsep)):
                yield Path(folder)
                if name == "PATH":
                    yield from (Path(folder).parent / part for part in PARTS)

    def policy(self, script: str, here: Path) -> dict:
        """For stemma/execute/guard.py."""
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
        }

    def ruleset(self) -> Ruleset | None:
        """For the kernel; None where it has no Landlock. To be closed."""
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
        # The kernel lets a file be linked only to where no more may be done with it.
        inputs = list(self.inputs())
        rules.allow(OF_FILES if closure.links else READ, inputs)
        rules.allow(REFER, {path.parent for path in inputs} if closure.links else ())
        return rules

    def described(self) -> str:
        """What keeps it, for the record."""
        kernel = f"Landlock ABI {version()}" if version() else ""
        if self.action.closure.network:
            return f"{kernel}, writes alone" if kernel else "nothing"
        return f"audit hook, {kernel}" if kernel else "audit hook"


def outside(tree: Path, zones: tuple[Path, ...]) -> list[Path]:
    """The parts of a tree that are in none of the zones, as they are now: the tree itself if no zone is in it."""
    tree = tree.resolve()
    if any(tree.is_relative_to(zone) for zone in zones):
        return []
    if not any(zone.is_relative_to(tree) for zone in zones):
        return [tree]
    try:
        return [part for inner in sorted(tree.iterdir()) for part in outside(inner, zones)]
    except OSError:
        return []
