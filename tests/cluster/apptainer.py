"""Does what `apptainer exec` does, as far as Snakemake asks for it: Debian has no apptainer that could be tried.

The image is a directory, as apptainer's sandboxes are. The command sees the image, the system's programs, the home
directory that it is told and what is bound, nothing else of this host: a mount namespace of its own, which takes root.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/sbin", "/etc", "/proc", "/sys", "/dev")
ALONE = "STEMMA_TESTS_MOUNTS"  # set where the mounts are this process's own


def main(words: list[str]) -> None:
    """Answer --version, or become the command."""
    if words == ["--version"]:
        print("apptainer version 1.3.4")
        return
    if ALONE not in os.environ:
        again = [sys.executable, "-m", __spec__.name, *words]
        os.execvpe("unshare", ["unshare", "--mount", "--propagation", "private", *again], os.environ | {ALONE: "1"})
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", required=True)
    parser.add_argument("--bind", action="append", default=[])
    parser.add_argument("image", type=Path)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(words[words.index("exec") + 1 :])
    root = Path("/mnt")
    mount("-t", "tmpfs", "root", root)
    subprocess.run(["cp", "-a", f"{options.image}/.", root], check=True)
    for folder in filter(os.path.isdir, (*SYSTEM, options.home, *options.bind)):
        inside = root / folder.lstrip("/")
        inside.mkdir(parents=True, exist_ok=True)
        mount("--rbind", folder, inside)
    os.chroot(root)
    os.chdir(options.home)
    del os.environ[ALONE]
    os.execvp(options.command[0], options.command)


def mount(*words: object) -> None:
    subprocess.run(["mount", *map(str, words)], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
