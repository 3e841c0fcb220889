"""Arrows between rooms point one way: each room imports those that are listed for it, and no others."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# The engine's rooms from the ground up: each may import those before it.
ENGINE = [
    "base", "code", "store", "planning", "provenance", "execute", "cluster", "workflow", "report", "doctor", "commands",
]  # fmt: skip
# A room of llm/ and the rooms that it may import, beside the modules that stand in llm/ itself.
STAGES = {
    "io": "",
    "runtime": "",
    "model": "io",
    "collect": "io runtime",
    "process": "io collect",
    "tokenize": "io",
    "training": "io runtime model",
    "pretrain": "io runtime model tokenize training",
    "plan": "model training",
    "inference": "io runtime model",
    "align": "io runtime model tokenize training inference",
    "package": "io model tokenize",
    "deploy": "io runtime model package tokenize pretrain inference align",
    "evaluate": "io collect runtime model tokenize inference pretrain align",
    "config": "collect process tokenize model training pretrain plan align package deploy evaluate",
}


def imports() -> set[tuple[str, str, str]]:
    """(file, its room, the room that it imports) of llm/ and stemma/; a room within a room counts as the outer one."""
    found = set()
    for file in sorted(path for top in ("llm", "stemma") for path in (ROOT / top).rglob("*.py")):
        parts = file.relative_to(ROOT).parts
        if len(parts) < 3:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                others = [(*node.module.split("."), alias.name) for alias in node.names]
            elif isinstance(node, ast.Import):
                others = [tuple(alias.name.split(".")) for alias in node.names]
            else:
                continue
            rooms = {other[1] for other in others if other[0] == parts[0] and len(other) > 1}
            found |= {("/".join(parts), parts[1], room) for room in rooms if (ROOT / parts[0] / room).is_dir()}
    return found


IMPORTS = imports()


@pytest.mark.parametrize("room", STAGES)
def test_a_stage_imports_what_is_listed_for_it(room: str):
    allowed = {room, *STAGES[room].split()}
    assert [
        (file, other)
        for file, own, other in IMPORTS
        if file.startswith("llm/") and own == room and other not in allowed
    ] == []


@pytest.mark.parametrize("room", ENGINE)
def test_the_engine_imports_downwards(room: str):
    allowed = ENGINE[: ENGINE.index(room) + 1]
    assert [
        (file, other)
        for file, own, other in IMPORTS
        if file.startswith("stemma/") and own == room and other not in allowed
    ] == []


def test_every_room_is_listed():
    rooms = {
        (top, path.name)
        for top in ("llm", "stemma")
        for path in (ROOT / top).iterdir()
        if (path / "__init__.py").exists()
    }
    assert rooms == {("llm", room) for room in STAGES} | {("stemma", room) for room in ENGINE}


def test_modules_outside_rooms_import_no_room():
    """llm/errors.py, progress.py, command.py, settings.py, checks.py: every room may import them."""
    for file in sorted((ROOT / "llm").glob("*.py")):
        names = [node.module for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
        assert not [
            name for name in names if name and name.startswith("llm.") and (ROOT / name.replace(".", "/")).is_dir()
        ]
