"""Writes a frozen copy of a script's closure, so that a job runs exactly the code that its key was made of.

The files are byte for byte those that stemma/code/closure.py read; later changes in the checkout reach no job. Beside
each module lies its bytecode, compiled from the syntax tree that was hashed: docstrings are in no key, so a script must
not be able to read them either. The copy has nothing else of the checkout; a folder without a package file that holds
code gets an empty one, so that what runs follows from the key alone.
"""

import ast
import importlib.util
import marshal
import sys
from pathlib import Path

from stemma.code.closure import Closure
from stemma.code.source import Reader, drop_docstrings

# PEP 552's header of bytecode that Python loads without comparing it with its source.
UNCHECKED = (1).to_bytes(4, "little") + bytes(8)


def freeze(closure: Closure, reader: Reader, folder: Path) -> None:
    """Write all files of a closure, and their bytecode, below a folder."""
    names = (*closure.modules, *closure.data_files)
    for place in sorted({(folder / name).parent for name in names}):
        place.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(reader.text(Path(name)))
    for name in package_files(closure):
        (folder / name).touch()
    for name in closure.modules:
        write_code(folder / name, compiled(reader.text(Path(name)), folder / name))


def package_files(closure: Closure) -> set[str]:
    """Return the package files that hold no code, of all folders in which modules lie."""
    folders = {folder for name in closure.modules for folder in Path(name).parents if folder.name}
    return {str(folder / "__init__.py") for folder in folders} - closure.modules.keys()


def compiled(source: bytes, file: Path) -> bytes:
    """Return the bytecode of a module without docstrings, in the format of __pycache__."""
    tree = ast.parse(source)
    drop_docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.body:
            node.body = [ast.Pass(lineno=node.lineno, col_offset=node.col_offset)]
    code = compile(tree, str(file), "exec", dont_inherit=True, optimize=0)
    return importlib.util.MAGIC_NUMBER + UNCHECKED + marshal.dumps(code)


def write_code(file: Path, code: bytes) -> None:
    """Write bytecode where Python looks for that of a source file."""
    place = file.parent / "__pycache__" / f"{file.stem}.{sys.implementation.cache_tag}.pyc"
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(code)
