"""Maps parts of canonical tensors to their places in megatron-core's parameters, in slices.

megatron-core joins queries, keys and values in one matrix, head group by head group, and gate and up in another; each
tensor rank has its part of the rows or columns; the vocabulary is padded to a multiple of the tensor ranks, which the
canonical tensors are not. Only shapes are used: no model and no process group.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from llm.model.config import ModelConfig

LAYER = {  # modules of a layer that every tensor rank holds whole -> canonical
    "input_layernorm": "input_layernorm",
    "pre_mlp_layernorm": "post_attention_layernorm",
    "self_attention.q_layernorm": "self_attn.q_norm",
    "self_attention.k_layernorm": "self_attn.k_norm",
}
OUTSIDE = {"embedding.position_embeddings": "model.embed_positions", "decoder.final_layernorm": "model.norm"}


@dataclass(frozen=True)
class Segment:
    """A part of a parameter: its `rows` rows from `row` on are those of the canonical tensor `name`, of `shape`, from
    `start` (row, column) on."""

    name: str
    shape: tuple[int, ...]
    start: tuple[int, int]
    row: int
    rows: int


def segments(name: str, shape: tuple[int, ...], layer: int | None, rank: int, config: ModelConfig) -> list[Segment]:
    """Return all segments of a parameter. `name`: within its stage, or within its layer if `layer` (counted from 0 in
    the whole model) is not None; `shape`: on this tensor rank, whose number is `rank`."""
    module, kind = name.rsplit(".", 1)
    if layer is None:
        if module in OUTSIDE:
            return [whole(f"{OUTSIDE[module]}.{kind}", shape)]
        tensor = "model.embed_tokens" if module.startswith("embedding") or config.tie_embeddings else "lm_head"
        start = rank * shape[0]
        rows = max(0, min(shape[0], config.vocab_size - start))  # the rest is padding
        return [Segment(f"{tensor}.{kind}", (config.vocab_size, config.d_model), (start, 0), 0, rows)]
    prefix = f"model.layers.{layer}."
    if module in LAYER:
        return [whole(f"{prefix}{LAYER[module]}.{kind}", shape)]
    if module == "self_attention.linear_qkv":
        return joined_heads(prefix, kind, shape, rank, config)
    if module == "mlp.linear_fc1":
        parts = ("gate", "up") if config.activation == "swiglu" else ("up",)
        rows = shape[0] // len(parts)
        full = (config.d_ff, *shape[1:])
        return [
            Segment(f"{prefix}mlp.{part}_proj.{kind}", full, (rank * rows, 0), number * rows, rows)
            for number, part in enumerate(parts)
        ]
    columns = {"self_attention.linear_proj": "self_attn.o_proj", "mlp.linear_fc2": "mlp.down_proj"}
    tensor = f"{prefix}{columns[module]}.{kind}"
    if kind == "bias":
        return [whole(tensor, shape)]
    width = config.d_ff if module == "mlp.linear_fc2" else config.n_heads * config.d_head
    return [Segment(tensor, (shape[0], width), (0, rank * shape[1]), 0, shape[0])]


def joined_heads(prefix: str, kind: str, shape: tuple[int, ...], rank: int, config: ModelConfig) -> list[Segment]:
    """Return the segments of linear_qkv: for each key-value head its query heads, then its key, then its value."""
    queries, size = config.n_heads // config.n_kv_heads, config.d_head
    own = shape[0] // ((queries + 2) * size)
    found, row = [], 0
    for head in range(rank * own, (rank + 1) * own):
        for part, heads in (("q", queries), ("k", 1), ("v", 1)):
            full = (config.n_kv_heads * heads * size, *shape[1:])
            name = f"{prefix}self_attn.{part}_proj.{kind}"
            found.append(Segment(name, full, (head * heads * size, 0), row, heads * size))
            row += heads * size
    return found


def whole(name: str, shape: tuple[int, ...]) -> Segment:
    return Segment(name, shape, (0, 0), 0, shape[0])


def parts(found: list[Segment], columns: int, start: int, end: int) -> Iterator[tuple[Segment, int, tuple[slice, ...]]]:
    """Cut the flat elements start ... end - 1 of a parameter with so many columns (a vector: 1) where segments end and
    into rectangles. Yield for each part: segment, the part's first element, its place in the canonical tensor."""
    for top, bottom, left, right in rectangles(start, end, columns):
        for segment in found:
            first, last = max(top, segment.row), min(bottom, segment.row + segment.rows)
            if first < last:
                row, column = segment.start[0] + first - segment.row, segment.start[1] + left
                where = (slice(row, row + last - first), slice(column, column + right - left))
                yield segment, first * columns + left, where[: len(segment.shape)]


def rectangles(start: int, end: int, columns: int) -> Iterator[tuple[int, int, int, int]]:
    """Cut the flat elements start ... end - 1 of a row-major matrix with so many columns into at most three rectangles:
    first row, end of rows, first column, end of columns."""
    while start < end:
        row, column = divmod(start, columns)
        if column or end - start < columns:
            stop = min(end, (row + 1) * columns)
            yield row, row + 1, column, column + stop - start
        else:
            rows = (end - start) // columns
            stop = start + rows * columns
            yield row, row + rows, 0, columns
        start = stop
