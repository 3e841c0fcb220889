"""A frozen copy of a script's closure: the code that a job runs is the code that its key was made of.

The files are those that stemma/code/closure.py read, byte for byte, as they were when they were read; what becomes of
them in the checkout meanwhile reaches no job. Beside each module lies its compiled code, made of the very tree that was
hashed: a docstring is in no key, so it is not there to be read either. Nothing else of the checkout is in the copy.
"""

import ast
import importlib.util
import marshal
import sys
from pathlib import Path

from stemma.code.closure import Closure
from stemma.code.source import Reader, drop_docstrings

UNCHECKED = (1).to_bytes(4, "little") + bytes(8)  # PEP 552: valid whatever the source's time; no digest is compared


def freeze(closure: Closure, reader: Reader, folder: Path) -> None:
    """Write all files of a closure below a folder, and their compiled code."""
    names = (*closure.modules, *closure.data_files)
    for place in sorted({(folder / name).parent for name in names}):
        place.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(reader.text(Path(name)))
    for name in closure.modules:
        write_code(folder / name, compiled(reader.text(Path(name)), folder / name))


def compiled(source: bytes, file: Path) -> bytes:
    """The code of a module without its docstrings, as Python keeps it in __pycache__."""
    tree = ast.parse(source)
    drop_docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.body:
            node.body = [ast.Pass(lineno=node.lineno, col_offset=node.col_offset)]
    code = compile(tree, str(file), "exec", dont_inherit=True, optimize=0)
    return importlib.util.MAGIC_NUMBER + UNCHECKED + marshal.dumps(code)


def write_code(file: Path, code: bytes) -> None:
    """Put compiled code where Python looks for that of a source file."""
    place = file.parent / "__pycache__" / f"{file.stem}.{sys.implementation.cache_tag}.pyc"
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(code)
