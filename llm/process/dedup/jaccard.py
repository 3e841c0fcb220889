"""Verifies candidate pairs by the true Jaccard similarity of their texts' shingle sets, in bounded memory.

The documents concerned are put into blocks of a fixed size, those of one component of candidates beside each other. One
pass over the shards copies their texts into a file for each block; then blocks are compared one by one, or two at a
time where a pair spans them. Texts that are in no pair are skipped, and so are shards without any.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from kernels.duplicates import components, join_similar, shingle_sets
from llm.errors import InputError
from llm.io import parquet
from llm.io.utf8 import pieces
from llm.process.dedup.lsh import names

BLOCK = 64 << 20  # bytes of text in a block; its shingles take about 3 times as much


def forest(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return as many of the pairs of names (a, b) as are needed to connect what all of them connect: a spanning
    forest."""
    _, index = np.unique(pairs.to_numpy(), return_inverse=True)
    _, joined = components(int(index.max(initial=-1)) + 1, index.reshape(-1, 2))
    return pairs.filter(pl.Series(joined))


def similar(
    pairs: pl.DataFrame, documents: list[Path], facts: list[Path], *, threshold: float, words: int, block: int = BLOCK
) -> tuple[pl.DataFrame, int]:
    """Return as many similar pairs as are needed to connect what all similar pairs connect, and how many were compared.

    pairs: names (a, b), sorted, distinct. documents, facts: directories of shards, of the same sources, with the same
    names. threshold: least Jaccard similarity of the sets of shingles of `words` tokens. Raises InputError for a name
    that no document has.
    """
    if pairs.is_empty():
        return pairs, 0
    wanted, index = np.unique(pairs.to_numpy(), return_inverse=True)
    index = index.reshape(-1, 2)
    parent = np.arange(len(wanted))
    joined = np.zeros(len(pairs), dtype=bool)
    compared = 0
    with TemporaryDirectory() as directory:
        texts = Texts(Path(directory), *locate(wanted, index, documents, facts, block))
        span = np.sort(texts.block[index], axis=1)
        span = span[:, 0] * (texts.block.max() + 1) + span[:, 1]
        order = np.argsort(span, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(span[order])) + 1):
            values, offsets, place = texts.sets(np.unique(texts.block[index[rows]]), words)
            joined[rows], n = join_similar(parent, index[rows], place[index[rows]], values, offsets, threshold)
            compared += n
    return pairs.filter(pl.Series(joined)), compared


def locate(
    wanted: np.ndarray, index: np.ndarray, documents: list[Path], facts: list[Path], block: int
) -> tuple[np.ndarray, list[tuple[Path, np.ndarray, np.ndarray]]]:
    """Return the block i64 [n] of each of the names u64 [n] (ascending), and where their texts are: shards, rows in
    them, and their indices in `wanted`. index i64 [n_pairs, 2]: the pairs, as indices in `wanted`."""
    size = np.full(len(wanted), -1, dtype=np.int64)
    found = []
    for raw, known in zip(documents, facts, strict=True):
        for path in parquet.parts(raw):
            table = parquet.read(known / path.name, ["digest", "bytes"])
            name, rows = np.unique(names(table), return_index=True)
            at = np.minimum(np.searchsorted(wanted, name), len(wanted) - 1)
            new = (wanted[at] == name) & (size[at] < 0)
            size[at[new]] = table["bytes"].to_numpy()[rows[new]]
            found.append((path, rows[new], at[new]))
    if (size < 0).any():
        raise InputError(
            "edges: pairs name documents that no source has; rebuild results/minhash and results/candidates"
        )
    root, _ = components(len(wanted), index)
    order = np.argsort(root, kind="stable")
    number = np.empty(len(wanted), dtype=np.int64)
    number[order] = (np.cumsum(size[order]) - size[order]) // block
    return number, found


class Texts:
    """The documents' texts in one file for each block, written on construction. `block` i64 [n]: each document's."""

    def __init__(self, directory: Path, block: np.ndarray, found: list[tuple[Path, np.ndarray, np.ndarray]]):
        self.directory, self.block = directory, block
        self.members: dict[int, list[np.ndarray]] = {}
        self.lengths: dict[int, list[np.ndarray]] = {}
        for path, rows, at in found:
            if not len(rows):
                continue
            order = np.argsort(block[at], kind="stable")
            rows, at = rows[order], at[order]
            texts = parquet.read(path, ["text"])["text"].gather(rows)
            border = np.flatnonzero(np.diff(block[at])) + 1
            for begin, end in zip([0, *border], [*border, len(at)], strict=True):
                number = int(block[at[begin]])
                self.members.setdefault(number, []).append(at[begin:end])
                with (directory / str(number)).open("ab") as file:
                    for data, offsets in pieces(texts[begin:end]):
                        data.tofile(file)
                        self.lengths.setdefault(number, []).append(np.diff(offsets))

    def sets(self, blocks: np.ndarray, words: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the shingle sets of the documents in some blocks, like `shingle_sets`, and each document's set, i64
        [n]."""
        place = np.full(len(self.block), -1, dtype=np.int64)
        members = np.concatenate([part for number in blocks for part in self.members[number]])
        place[members] = np.arange(len(members))
        sets = [self.of_block(number, words) for number in blocks]
        values = sets[0][0] if len(sets) == 1 else np.concatenate([found for found, _ in sets])
        sizes = np.concatenate([sizes for _, sizes in sets])
        return values, np.concatenate([[0], np.cumsum(sizes)]), place

    def of_block(self, number: int, words: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the shingle sets of a block's documents one after the other, u64, and their sizes, i64 [n]."""
        offsets = np.concatenate([[0], *self.lengths[number]]).astype(np.int64).cumsum()
        path = self.directory / str(number)
        data = np.asarray(np.memmap(path, np.uint8, "r")) if offsets[-1] else np.empty(0, np.uint8)
        values, borders = shingle_sets(data, offsets, words)
        return values, np.diff(borders)
