"""Finds a script's closure: its own modules, its data files, and the distributions it imports with their requirements.

Code is parsed, never imported: the script and every first-party module that it imports, transitively, including
imports inside functions (stemma/code/source.py parses one file). A package file that holds no code, a docstring at the
most, is no part of it: stemma/code/frozen_code.py gives each folder of a closure one, be it in the checkout or not.
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
    """A closure in enough detail to name a later change: the digest of each function of each module (`parts`), of each
    data file, and the version of each distribution and of Python."""

    parts: dict[str, dict[str, str]]
    data_files: dict[str, str]
    distributions: dict[str, str]
    python: str


@dataclass(frozen=True)
class Closure:
    """All that a script's behaviour depends on; paths are relative to the repository.

    `modules`: path -> digest of its syntax tree; `data_files`: path -> SHA-256; `distributions`: name -> version;
    `files`: path -> SHA-256 of the module's bytes; `parts`: path -> function -> digest; `network`, `links`: whether any
    module declares NETWORK or LINKS (stemma/code/source.py).
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
        """The digest of the whole closure, which enters the job's keys."""
        return digest.of_value([self.modules, self.data_files, self.distributions, PYTHON])

    @property
    def described(self) -> Description:
        """The description that a later run compares with."""
        return Description(self.parts, self.data_files, self.distributions, PYTHON)

    @cached_property
    def description(self) -> bytes:
        """The description as canonical JSON, kept in the store beside the records."""
        return digest.canonical(asdict(self.described))


@cache
def reader_of(root: Path) -> Reader:
    """Return this process's one reader of a repository."""
    return Reader(root)


@cache
def closure_of(script: Path, root: Path) -> Closure:
    """Return the closure of a script in a repository. Raises StemmaError for a file that is missing, cannot be parsed,
    or loads code dynamically."""
    reader = reader_of(root)
    modules: dict[str, Module] = {}
    data_files: dict[str, str] = {}
    others: set[str] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        name = path.as_posix()
        if name in modules:
            continue
        module = reader.module(path)
        if path.name == "__init__.py" and not module.parts:
            continue
        modules[name] = module
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
    """Return the files of this repository that `import name` executes, including packages' __init__; none if not
    ours."""
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
    """Return the top-level names that a module imports from neither this repository nor the standard library."""
    others = {name.split(".")[0] for name in module.imports if not first_party(name, root)}
    return others - sys.stdlib_module_names


def digest_of_data(reader: Reader, path: Path, declared_by: str) -> str:
    """Return the digest of a declared data file. Raises StemmaError where it is missing."""
    try:
        return digest.of_bytes(reader.text(path))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise StemmaError(f"{declared_by} declares the data file {path.name}, which is not beside it") from None
