"""The hash behind both keys of a job: its code, its params, its inputs and outputs, and how its script is called.

A script sees more than bytes: the last name of each input's path, the suffix of each output's (stemma/execute/run.py
has it write under the argument's name), how many threads it may start, and what surrounds it in its rule's shell line.
All of that enters the key; where the repository and the results lie does not.
"""

from collections.abc import Iterable
from pathlib import Path

from stemma.base import digest
from stemma.code.closure import Closure
from stemma.store import artifact


def key_of(
    closure: Closure,
    params: dict,
    inputs: Iterable[tuple[str, str, str]],
    outputs: Iterable[tuple[str, str]],
    threads: int,
    shell: str,
    numeric: str,
) -> str:
    """Return the key of a job.

    inputs: (argument, path, identity: an expected key or a digest), artifacts before sources; outputs: (argument,
    path); shell: the shell line without the part that all rules share; numeric: the numeric mode or class."""
    read: dict[str, list] = {}
    for name, path, identity in inputs:
        read.setdefault(name, []).append([artifact.argument(Path(path)).name, identity])
    written: dict[str, list] = {}
    for name, path in outputs:
        written.setdefault(name, []).append(suffix_of(path))
    return digest.of_value([closure.key, params, read, written, threads, shell, numeric])


def suffix_of(output: str | Path) -> str:
    """Return what a script sees of an output's name: `.tar.gz`, or a slash for a directory (the engine writes its
    manifest)."""
    path = Path(output)
    return "/" if artifact.is_directory(path) else "".join(path.suffixes)
