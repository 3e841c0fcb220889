"""What a script's result depends on in code: its own modules, its data files, distributions with their requirements.

The closure is found by reading, never by importing: the script and every first-party module that it imports,
transitively, imports inside functions included (stemma/code/source.py reads one file).
"""

import sys
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path

from stemma.base import digest
from stemma.base.errors import StemmaError
from stemma.code.distributions import reached
from stemma.code.source import PYTHON, Module, Reader


@dataclass(frozen=True)
class Description:
    """A closure in the detail that names a change later: what its modules consist of, function by function."""

    parts: dict[str, dict[str, str]]
    data_files: dict[str, str]
    distributions: dict[str, str]
    python: str


@dataclass(frozen=True)
class Closure:
    """All that a script's behaviour depends on; paths are relative to the repository.

    `modules`: path -> digest of its meaning; `files`: path -> SHA-256 of its bytes; `parts`: path -> function -> its
    digest; `network`: does a module in it declare that it goes out to the network?
    """

    modules: dict[str, str]
    data_files: dict[str, str]
    distributions: dict[str, str]
    files: dict[str, str]
    parts: dict[str, dict[str, str]]
    network: bool = False
    links: bool = False

    @cached_property
    def key(self) -> str:
        """One digest of the whole closure."""
        return digest.of_value([self.modules, self.data_files, self.distributions, PYTHON])

    @property
    def described(self) -> Description:
        """What is told of it later."""
        return Description(self.parts, self.data_files, self.distributions, PYTHON)

    @cached_property
    def description(self) -> bytes:
        """The same as canonical JSON: kept in the store beside the records."""
        return digest.canonical(asdict(self.described))


@cache
def reader_of(root: Path) -> Reader:
    """The one reader of a repository in this process."""
    return Reader(root)


@cache
def closure_of(script: Path, root: Path) -> Closure:
    """The closure of a script in a repository. Raises StemmaError for a missing, unparsable or hiding file."""
    reader = reader_of(root)
    modules = {}
    data_files: dict[str, str] = {}
    others: set[str] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        name = path.as_posix()
        if name in modules:
            continue
        module = modules[name] = reader.module(path)
        for data_file in module.data_files:
            data_files[data_file] = digest_of_data(reader, Path(data_file), name)
        others |= third_party(module, root)
        for imported in module.imports:
            waiting += first_party(imported, root)
    names = sorted(modules)
    return Closure(
        modules={name: modules[name].meaning for name in names},
        data_files=dict(sorted(data_files.items())),
        distributions=reached(others),
        files={name: modules[name].sha256 for name in names},
        parts={name: modules[name].parts for name in names},
        network=any(module.network for module in modules.values()),
        links=any(module.links for module in modules.values()),
    )


@cache
def first_party(name: str, root: Path) -> tuple[Path, ...]:
    """The files of this repository that importing `name` executes, packages' __init__ included; none if not ours."""
    files: list[Path] = []
    path = Path()
    for part in name.split("."):
        path = path / part
        if (root / path / "__init__.py").is_file():
            files.append(path / "__init__.py")
        elif (root / path.with_suffix(".py")).is_file():
            return (*files, path.with_suffix(".py"))
        elif not (root / path).is_dir():
            break
    return tuple(files)


def third_party(module: Module, root: Path) -> set[str]:
    """Top-level names of what a module imports that is neither of this repository nor of the standard library."""
    others = {name.split(".")[0] for name in module.imports if not first_party(name, root)}
    return others - sys.stdlib_module_names


def digest_of_data(reader: Reader, path: Path, declared_by: str) -> str:
    """Digest of a declared data file's bytes."""
    try:
        return digest.of_bytes(reader.text(path))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise StemmaError(f"{declared_by} declares the data file {path.name}, which is not beside it") from None
