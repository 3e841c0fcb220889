"""Parses one first-party source file without importing it: the digest of its meaning, its parts, imports, declarations.

Comments, docstrings and layout do not enter the meaning. A module declares the data files it reads with
`DATA_FILES = ("name beside the module", ...)`, that it uses the network with `NETWORK = True`, and that its outputs may
be links to its inputs with `LINKS = True`. Code whose dependencies cannot be read off (dynamic imports, evaluated text)
is refused. Results are cached by the digest of the file's bytes, so a file is parsed once however often Snakemake reads
the workflow.
"""

import ast
import json
import sys
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from stemma.base import digest
from stemma.base.digest import read_json, write_atomically
from stemma.base.errors import StemmaError
from stemma.base.typed_json import made

CACHE = Path("results/.records/sources-read.json")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
TOP = "(module level)"
HIDING = ("__import__", "exec", "eval", "compile", "importlib.import_module", "runpy.run_path", "runpy.run_module")


@dataclass(frozen=True)
class Module:
    """A parsed file. `sha256`: of its bytes; `meaning`: digest of the syntax tree; `parts`: function, Class.method or
    (module level) -> digest of its tree."""

    sha256: str
    meaning: str
    parts: dict[str, str]
    imports: tuple[str, ...]
    data_files: tuple[str, ...]
    network: bool
    links: bool


class Reader:
    """Parses files of one repository, each once, and caches the results."""

    def __init__(self, root: Path, cache: Path = CACHE):
        self.root = root
        self.cache = cache
        self.read: dict[Path, Module] = {}
        self.bytes: dict[Path, bytes] = {}
        kept = read_json(cache) or {}
        modules = kept.get("modules") if kept.get("reader") == reader_digest() else None
        self.kept: dict[str, object] = modules if isinstance(modules, dict) else {}
        self.learned = False

    def module(self, path: Path) -> Module:
        """Return the module at `path`, relative to the root. Raises StemmaError for a file that is missing, cannot be
        parsed, or loads code dynamically."""
        if path not in self.read:
            try:
                source = self.text(path)
            except FileNotFoundError:
                raise StemmaError(f"{path} does not exist, but a rule or an import names it") from None
            sha256 = digest.of_bytes(source)
            known = f"{path} {sha256}"  # relative imports depend on the path
            module = made(Module, self.kept.get(known))
            if module is None:
                module = parse(source, path, sha256)
                self.learned = True
            self.read[path] = module
        return self.read[path]

    def text(self, path: Path) -> bytes:
        """Return a file's bytes, read once per process: what is hashed is what runs, even if the file changes
        meanwhile."""
        if path not in self.bytes:
            self.bytes[path] = (self.root / path).read_bytes()
        return self.bytes[path]

    def save(self) -> None:
        """Write the cache for the next process; entries of files that were not read now are dropped."""
        if self.learned:
            kept = {f"{path} {module.sha256}": asdict(module) for path, module in self.read.items()}
            write_atomically(self.cache, json.dumps({"reader": reader_digest(), "modules": kept}).encode())
            self.learned = False


@cache
def reader_digest() -> str:
    """Return what a cached result depends on beside the file: the digest of this module and of Python's version."""
    return digest.of_value([digest.of_file(Path(__file__)), PYTHON])


def parse(source: bytes, path: Path, sha256: str) -> Module:
    """Parse one file. Raises StemmaError for a syntax error and for code that loads other code dynamically."""
    try:
        tree = ast.parse(source, filename=str(path))
    except SyntaxError as error:
        raise StemmaError(f"{path}:{error.lineno}: {error.msg}; mend the syntax") from None
    drop_docstrings(tree)
    imports: set[str] = set()
    for node in ast.walk(tree):
        refuse_hiding(node, path)
        imports.update(names_imported(node, path))
    data = [str(path.parent / name) for node in tree.body for name in names_declared(node, "DATA_FILES", path)]
    return Module(
        sha256=sha256,
        meaning=digest.of_bytes(ast.dump(tree).encode()),
        parts=parts_of(tree),
        imports=tuple(sorted(imports)),
        data_files=tuple(sorted(data)),
        network=any(declared(node, "NETWORK", path) for node in tree.body),
        links=any(declared(node, "LINKS", path) for node in tree.body),
    )


def drop_docstrings(tree: ast.Module) -> None:
    """Remove, in place, the docstrings of the module, its classes and functions, and in modules and classes every
    string below a name that documents it. A class or function that is left empty needs a body before it can be
    compiled."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef):
            node.body = [statement for statement in node.body if not is_text(statement)]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.body and is_text(node.body[0]):
            node.body = node.body[1:]


def is_text(node: ast.stmt) -> bool:
    """Is the statement a bare string, which does nothing?"""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def parts_of(tree: ast.Module) -> dict[str, str]:
    """Return the digest of every top-level function, every method and the rest, so that a change can be named."""
    parts: dict[str, list[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            parts.setdefault(node.name, []).append(ast.dump(node))
        elif isinstance(node, ast.ClassDef):
            for member in node.body:
                inner = getattr(member, "name", None)
                parts.setdefault(f"{node.name}.{inner}" if inner else node.name, []).append(ast.dump(member))
            shell = [*node.bases, *node.keywords, *node.decorator_list]
            parts.setdefault(node.name, []).extend(ast.dump(piece) for piece in shell)
        else:
            parts.setdefault(TOP, []).append(ast.dump(node))
    return {name: digest.of_value(dumps)[:16] for name, dumps in parts.items()}


def refuse_hiding(node: ast.AST, path: Path) -> None:
    """Raise StemmaError for a call that loads or evaluates code which static reading cannot follow."""
    if not isinstance(node, ast.Call):
        return
    called = node.func
    name = called.id if isinstance(called, ast.Name) else ""
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
        name = f"{called.value.id}.{called.attr}"
    if name in HIDING or name == "import_module":
        raise StemmaError(
            f"{path}:{node.lineno}: {name}() hides from the engine what it loads; import it by name, at the top"
        )


def names_imported(node: ast.AST, path: Path) -> list[str]:
    """Return the dotted names that an import statement may bind to modules; `from a import b` may mean a.b."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        package = path.parent.parts[: len(path.parent.parts) - node.level + 1]
        base = ".".join((*package, base)).strip(".")
    return [base, *(f"{base}.{alias.name}" for alias in node.names)]


def names_declared(node: ast.stmt, name: str, path: Path) -> list[str]:
    """Return the names of a module-level `NAME = ("one", "other")`; none for any other statement. Raises StemmaError
    for a value that is no tuple of names."""
    value = declared(node, name, path)
    if value is None:
        return []
    if not isinstance(value, tuple | list) or not all(isinstance(one, str) for one in value):
        raise StemmaError(f"{path}:{node.lineno}: {name} is to be a tuple of names, not {ast.unparse(node)}")
    return list(value)


def declared(node: ast.stmt, name: str, path: Path) -> object:
    """Return the literal of a module-level `NAME = literal`, with a type or without; None for any other statement.
    Raises StemmaError for a value that has to be computed."""
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return None
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    if [getattr(target, "id", None) for target in targets] != [name]:
        return None
    try:
        return ast.literal_eval(node.value)
    except ValueError:
        raise StemmaError(f"{path}:{node.lineno}: {name} is read and not computed; write a literal") from None
