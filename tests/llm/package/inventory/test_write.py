"""What a reader asks for is arranged by block and layer, and written a line a part."""

import json
from pathlib import Path

from llm.package.inventory.write import by_block, heads_of, write

TENSORS = [
    {"block": "query", "layer": 10, "spectrum": [[1, 2.0]], "heads": [1.23456, 2.0]},
    {"block": "query", "layer": 2, "spectrum": [[1, 3.0]], "heads": [3.0, 4.0]},
    {"block": "embedding", "layer": None, "spectrum": [[1, 9.0]], "heads": []},
    {"block": "norms", "layer": None, "spectrum": [], "heads": []},
]


def test_layers_stand_in_their_order_and_empty_facts_are_left_out() -> None:
    found = by_block(TENSORS, "spectrum")
    assert found == {"query": {"layer 2": [[1, 3.0]], "layer 10": [[1, 2.0]]}, "embedding": {"embedding": [[1, 9.0]]}}
    assert list(found["query"]) == ["layer 2", "layer 10"]
    assert heads_of(TENSORS) == {"query": [[3.0, 4.0], [1.235, 2.0]]}


def test_a_part_is_a_line(tmp_path: Path) -> None:
    value = {"b": [[1, 2], [3]], "a": {"z": "ü", "y": None}}
    write(tmp_path / "file.json", value)
    text = (tmp_path / "file.json").read_text()
    assert json.loads(text) == value
    assert text == '{\n"a": {"y": null, "z": "ü"},\n"b": [[1, 2], [3]]\n}\n'
