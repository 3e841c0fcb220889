"""A report on the house, for whoever tidies: files and functions by length, arguments by number. It fails nothing.

python -m tests.house
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOPS = ("llm", "kernels", "scripts", "stemma", "rules", "benchmarks", "tests")
LINES, FUNCTION_LINES, ARGUMENTS = 300, 60, 10


def main() -> None:
    files = sorted(path for top in TOPS for kind in ("*.py", "*.smk") for path in (ROOT / top).rglob(kind))
    print(f"Files of more than {LINES} lines")
    show((len(path.read_text().splitlines()), str(path.relative_to(ROOT))) for path in files)
    functions = [
        found
        for path in files
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] != "tests"
        for found in defined(path)
    ]
    print(f"\nFunctions of more than {FUNCTION_LINES} lines")
    show(((length, name) for name, length, _ in functions), FUNCTION_LINES)
    print(f"\nFunctions of more than {ARGUMENTS} arguments")
    show(((count, name) for name, _, count in functions), ARGUMENTS)


def defined(path: Path) -> Iterator[tuple[str, int, int]]:
    """(file:name, lines without the docstring, arguments) of each function in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            has_docstring = ast.get_docstring(node) is not None
            docstring = node.body[0].end_lineno - node.body[0].lineno + 1 if has_docstring else 0
            given = node.args
            arguments = len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs)
            yield f"{path.relative_to(ROOT)}:{node.name}", node.end_lineno - node.lineno + 1 - docstring, arguments


def show(found: Iterator[tuple[int, str]], above: int = LINES) -> None:
    for number, name in sorted((pair for pair in found if pair[0] > above), reverse=True):
        print(f"{number:>6}  {name}")


if __name__ == "__main__":
    main()
