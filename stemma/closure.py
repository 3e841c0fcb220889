"""What a script's result depends on in code: its own modules, its data files, its third-party distributions.

The closure is found by reading, never by importing: the syntax trees of the script and of every first-party module that
it imports, transitively, imports inside functions included. Comments, docstrings and layout do not count. A module
declares the data files it reads with `DATA_FILES = ("name beside the module", ...)`. Dynamic imports are not followed.
"""

import ast
import sys
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from stemma import digest
from stemma.distributions import version_of
from stemma.errors import StemmaError

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Module:
    """One first-party source file, read: digest of its meaning, what it imports, the data files it declares."""

    digest: str
    imports: tuple[str, ...]
    data_files: tuple[str, ...]


@dataclass(frozen=True)
class Closure:
    """All that a script's behaviour depends on; paths are relative to the repository."""

    modules: dict[str, str]
    data_files: dict[str, str]
    distributions: dict[str, str]

    @cached_property
    def key(self) -> str:
        """One digest of the whole closure."""
        return digest.of_value([self.modules, self.data_files, self.distributions, PYTHON])


@cache
def closure_of(script: Path, root: Path) -> Closure:
    """The closure of a script in a repository. Raises StemmaError for a missing or unparsable file."""
    modules: dict[str, str] = {}
    data_files: dict[str, str] = {}
    third_party: set[str] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        name = path.as_posix()
        if name in modules:
            continue
        module = read_module(path, root)
        modules[name] = module.digest
        for data_file in module.data_files:
            data_files[data_file] = digest_of_data(root / data_file, name)
        for imported in module.imports:
            files = first_party(imported, root)
            waiting += files
            if not files and imported.split(".")[0] not in sys.stdlib_module_names:
                third_party.add(imported.split(".")[0])
    return Closure(
        modules=dict(sorted(modules.items())),
        data_files=dict(sorted(data_files.items())),
        distributions=dict(sorted(version_of(name) for name in third_party)),
    )


@cache
def read_module(path: Path, root: Path) -> Module:
    """Parse one file (path relative to root)."""
    try:
        source = (root / path).read_bytes()
    except FileNotFoundError:
        raise StemmaError(f"{path} does not exist, but a rule or an import names it") from None
    try:
        tree = ast.parse(source, filename=str(path))
    except SyntaxError as error:
        raise StemmaError(f"{path}:{error.lineno}: {error.msg}; mend the syntax") from None
    drop_docstrings(tree)
    imports = {name for node in ast.walk(tree) for name in names_imported(node, path)}
    data = [str(path.parent / name) for node in tree.body for name in declared_files(node)]
    return Module(digest.of_bytes(ast.dump(tree).encode()), tuple(sorted(imports)), tuple(sorted(data)))


def drop_docstrings(tree: ast.Module) -> None:
    """Remove the docstrings of the module, its classes and its functions, in place."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = node.body[1:]


def names_imported(node: ast.AST, path: Path) -> list[str]:
    """Dotted names that an import statement may bind to modules; `from a import b` may mean a.b."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        package = path.parent.parts[: len(path.parent.parts) - node.level + 1]
        base = ".".join((*package, base)).strip(".")
    return [base, *(f"{base}.{alias.name}" for alias in node.names)]


def declared_files(node: ast.stmt) -> list[str]:
    """The names in a module-level `DATA_FILES = (...)`."""
    if not isinstance(node, ast.Assign) or [getattr(t, "id", None) for t in node.targets] != ["DATA_FILES"]:
        return []
    return list(ast.literal_eval(node.value))


def first_party(name: str, root: Path) -> list[Path]:
    """The files of this repository that importing `name` executes, packages' __init__ included; none if not ours."""
    files = []
    path = Path()
    for part in name.split("."):
        path = path / part
        if (root / path / "__init__.py").is_file():
            files.append(path / "__init__.py")
        elif (root / path.with_suffix(".py")).is_file():
            return [*files, path.with_suffix(".py")]
        elif not (root / path).is_dir():
            break
    return files


def digest_of_data(path: Path, declared_by: str) -> str:
    """Digest of a declared data file's bytes."""
    if not path.is_file():
        raise StemmaError(f"{declared_by} declares the data file {path.name}, which is not beside it")
    return digest.of_file(path)
