"""Closures are found by reading: transitive, and blind to comments, docstrings and layout."""

from pathlib import Path

import pytest

from stemma.base.errors import StemmaError
from stemma.code.closure import closure_of, first_party, reader_of


def closure(root: Path, files: dict[str, str], script: str = "scripts/s/x.py"):
    """The closure of a script in a small tree made here."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    closure_of.cache_clear()
    reader_of.cache_clear()
    first_party.cache_clear()
    return closure_of(Path(script), root)


TREE = {
    "scripts/s/x.py": "import llm.a\n",
    "llm/__init__.py": "",
    "llm/a.py": "from llm import b\nimport json\n",
    "llm/b.py": "def f():\n    from .deep import c\n    return c\n",
    "llm/deep/__init__.py": "",
    "llm/deep/c.py": "import numpy as np\nimport yaml\n",
    "llm/unused.py": "import torch\n",
}


def test_transitive_with_relative_and_lazy_imports(tmp_path):
    found = closure(tmp_path, TREE)
    assert set(found.modules) == {
        "scripts/s/x.py",
        "llm/a.py",
        "llm/b.py",
        "llm/deep/c.py",
    }
    assert found.distributions.keys() == {"numpy", "pyyaml"}


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("x = 1\n", "x = 1  # why\n", True),
        ("x = 1\n", '"""Doc."""\n\n\nx = 1\n', True),
        ("def f(a):\n    return a\n", 'def f(a):\n    """Doc."""\n    return (a)\n', True),
        ("class A:\n    x = 1\n", 'class A:\n    """Doc."""\n\n    x = 1\n', True),
        ("class A:\n    x: int = 1\n", 'class A:\n    x: int = 1\n    """What x is."""\n', True),
        ("x = 1\n", 'x = 1\n"""What x is."""\n', True),
        ("x = 1\n", "x = 2\n", False),
        ("x = 'a'\n", 'x = "a"\n', True),
        ("x = 'a'\n", "x = 'b'\n", False),
        ("def f(a):\n    return a\n", "def f(a, b=1):\n    return a\n", False),
        ("import json\n", "import math\n", False),
        ("def f():\n    x = 1\n    'text in the middle'\n", "def f():\n    x = 1\n    'other text'\n", False),
    ],
)
def test_what_counts(tmp_path, before, after, same):
    first = closure(tmp_path, TREE | {"llm/deep/c.py": before}).key
    assert (closure(tmp_path, TREE | {"llm/deep/c.py": after}).key == first) is same


@pytest.mark.parametrize(
    ("package_file", "same"),
    [
        ('"""What the room is for."""\n', True),
        ("# What the room is for.\n", True),
        (None, True),
        ("import json\n", False),
        ('"""What the room is for."""\n\nNAMES = ()\n', False),
        ("pass\n", False),
    ],
)
def test_a_package_file_counts_once_it_holds_code(tmp_path, package_file, same):
    first = closure(tmp_path, TREE).key
    (tmp_path / "llm/deep/__init__.py").unlink()
    others = {name: text for name, text in TREE.items() if name != "llm/deep/__init__.py"}
    changed = closure(tmp_path, others | ({"llm/deep/__init__.py": package_file} if package_file else {}))
    assert (changed.key == first) is same
    assert ("llm/deep/__init__.py" in changed.modules) is not same


def test_unrelated_module_does_not_count(tmp_path):
    first = closure(tmp_path, TREE).key
    assert closure(tmp_path, TREE | {"llm/unused.py": "changed = 1\n"}).key == first


def test_version_of_an_imported_distribution_counts(tmp_path, monkeypatch):
    first = closure(tmp_path, TREE).key
    monkeypatch.setattr("stemma.code.closure.reached", lambda names: dict.fromkeys(names, "0.0.0"))
    assert closure(tmp_path, TREE).key != first


def test_absent_distribution_is_named(tmp_path):
    found = closure(tmp_path, TREE | {"llm/deep/c.py": "import not_installed_anywhere\n"})
    assert found.distributions["not-installed-anywhere"] == "absent"


def test_declared_data_file_counts_and_must_exist(tmp_path):
    files = TREE | {"llm/deep/c.py": "DATA_FILES = ('words.txt',)\n", "llm/deep/words.txt": "a"}
    first = closure(tmp_path, files)
    assert list(first.data_files) == ["llm/deep/words.txt"]
    assert closure(tmp_path, files | {"llm/deep/words.txt": "b"}).key != first.key
    (tmp_path / "llm/deep/words.txt").unlink()
    closure_of.cache_clear()
    reader_of.cache_clear()
    with pytest.raises(StemmaError, match="words.txt"):
        closure_of(Path("scripts/s/x.py"), tmp_path)


@pytest.mark.parametrize("type_", ["tuple[str, ...]", "Final"])
def test_declaration_with_a_type_counts_like_one_without(tmp_path, type_):
    files = {
        "llm/deep/c.py": f"DATA_FILES: {type_} = ('words.txt',)\nNETWORK: bool = True\n",
        "llm/deep/words.txt": "a",
    }
    found = closure(tmp_path, TREE | files)
    assert list(found.data_files) == ["llm/deep/words.txt"]
    assert found.network


@pytest.mark.parametrize("value", ["'words.txt'", "5", "('words.txt', 5)", "tuple(NAMES)"])
def test_declared_data_files_that_are_no_names_are_refused(tmp_path, value):
    files = TREE | {"llm/deep/c.py": f"DATA_FILES = {value}\n", "llm/deep/words.txt": "a"}
    with pytest.raises(StemmaError, match=r"llm/deep/c\.py:1: DATA_FILES is "):
        closure(tmp_path, files)


def test_syntax_error_is_one_line_with_its_place(tmp_path):
    with pytest.raises(StemmaError, match=r"llm/deep/c.py:1: "):
        closure(tmp_path, TREE | {"llm/deep/c.py": "x = = 1\n"})
