"""Arranges what was found by what a reader asks for (a block's spectra, all heads of all layers), and writes it."""

import json
from pathlib import Path

from llm.package.inventory.matrices import rounded


def by_block(tensors: list[dict], field: str) -> dict[str, dict[str, list]]:
    """Return block -> layer -> what each matrix's facts have as `field`, where they have it."""
    found: dict[str, dict[str, list]] = {}
    for tensor in sorted(tensors, key=lambda each: -1 if each["layer"] is None else each["layer"]):
        if tensor[field]:
            label = tensor["block"] if tensor["layer"] is None else f"layer {tensor['layer']}"
            found.setdefault(tensor["block"], {})[label] = tensor[field]
    return found


def heads_of(tensors: list[dict]) -> dict[str, list[list[float]]]:
    """Return block -> [layers, heads], the norm of each head's part."""
    found = by_block(tensors, "heads")
    return {block: [[rounded(norm) for norm in heads] for heads in layers.values()] for block, layers in found.items()}


def write(path: Path, value: dict) -> None:
    """Write the inventory as JSON, a line a part: indented, each of a pattern's ten thousands of numbers would have a
    line of its own."""
    lines = (
        f"{json.dumps(name)}: {json.dumps(value[name], sort_keys=True, ensure_ascii=False)}" for name in sorted(value)
    )
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
