"""Find the exact and near duplicates among the documents of all sources. Drops nothing."""

from pathlib import Path

import polars as pl

from llm.command import command
from llm.errors import InputError
from llm.text import shards
from llm.text.dedup import find_duplicates


def main(
    documents: list[Path],
    annotations: list[Path],
    duplicates: list[Path],
    *,
    bands: int = 28,
    rows: int = 4,
    threshold: float = 0.8,
    max_bucket: int = 50,
    shingle_words: int = 5,
) -> dict:
    """documents, annotations: directories of each source's shards, in one order. duplicates: a parquet file for each.
    bands, rows: of LSH. threshold: Jaccard similarity of near duplicates. max_bucket: see llm/text/dedup.py."""
    if not len(documents) == len(annotations) == len(duplicates):
        raise InputError("deduplicate: documents, annotations and duplicates must name the same sources in one order")
    texts = [shards.read_all(directory, ["id", "text"]) for directory in documents]
    signed = [shards.read_all(directory, ["id", "sha256", "signature"]) for directory in annotations]
    for directory, text, signature in zip(annotations, texts, signed, strict=True):
        if not text["id"].equals(signature["id"]):
            raise InputError(f"{directory}: does not annotate the same documents as the raw shards; rebuild it")
    text, signature = pl.concat(texts), pl.concat(signed)
    if twice := text["id"].filter(text["id"].is_duplicated()).to_list():
        raise InputError(f"deduplicate: the id {twice[0]!r} occurs more than once; ids must be unique in the corpus")
    table, counts = find_duplicates(
        text["id"], signature["sha256"], text["text"], signature["signature"].to_numpy(),
        bands=bands, rows=rows, threshold=threshold, max_bucket=max_bucket, shingle_words=shingle_words,
    )  # fmt: skip
    begin = 0
    for path, part in zip(duplicates, texts, strict=True):
        shards.write(table[begin : begin + len(part)], path)
        begin += len(part)
    return counts


if __name__ == "__main__":
    command(main)
