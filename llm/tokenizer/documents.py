"""Clean documents in the orders that tokenizing needs: a source's splits, and the sampling plan's beginning.

Reads clean shards (`part-*.parquet`) and the plan; filters nothing itself.
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from llm.errors import InputError
from llm.text.shards import parts, read

SPLITS = ("train", "validation")
BATCH = 16 << 20  # UTF-8 bytes of text held at once while tokenizing


def split_batches(source: Path, split: str, batch_bytes: int = BATCH) -> Iterator[list[str]]:
    """The texts of a source's `split` in clean order, in lists of about `batch_bytes` (one longer document alone)."""
    for part in parts(source):
        texts = read(part, ["text", "split"]).filter(pl.col("split") == split)["text"]
        group = (texts.str.len_bytes().cast(pl.Int64).cum_sum() // batch_bytes).alias("group")
        for batch in pl.DataFrame([texts, group]).partition_by("group", maintain_order=True):
            yield batch["text"].to_list()


def planned_texts(clean: Path, plan: Path, limit: int) -> Iterator[str]:
    """The first planned documents, in plan order, until they have `limit` UTF-8 bytes; the last one is cut.

    A document that the plan uses twice comes twice: the tokenizer sees the mixture that training will see.
    """
    if limit < 1:
        raise InputError(f"tokenizer.sample_bytes: {limit} is not a positive number of bytes")
    rows = pl.read_parquet(plan, columns=["source", "document"])
    sizes = pl.concat([train_sizes(clean / source) for source in sorted(rows["source"].unique())] + [NO_SIZES])
    used = rows.join(sizes, on=("source", "document"), how="left", maintain_order="left")
    if used["bytes"].null_count():
        source, document = used.filter(pl.col("bytes").is_null()).select("source", "document").row(0)
        raise InputError(f"{plan.name}: document {document} of {source} is not in the clean shards; mix again")
    before = used["bytes"].cum_sum() - used["bytes"]
    used = used.with_columns(before.alias("before")).filter(pl.col("before") < limit)
    texts = {
        source: train_texts(clean / source, documents["document"].unique().sort())
        for (source,), documents in used.partition_by("source", as_dict=True).items()
    }
    for source, document, size, begin in used.iter_rows():
        text = texts[source][document]
        yield text if begin + size <= limit else text.encode()[: limit - begin].decode(errors="ignore")


NO_SIZES = pl.DataFrame(schema={"source": pl.String, "document": pl.UInt32, "bytes": pl.Int64})


def train_sizes(source: Path) -> pl.DataFrame:
    """`source`, `document` (index among train documents), `bytes` (UTF-8) of a source's train documents."""
    sizes = [
        read(part, ["text", "split"])
        .filter(pl.col("split") == "train")
        .select(pl.col("text").str.len_bytes().cast(pl.Int64).alias("bytes"))
        for part in parts(source)
    ]
    return (
        pl.concat(sizes)
        .with_row_index("document")
        .select(pl.lit(source.name).alias("source"), pl.col("document").cast(pl.UInt32), "bytes")
    )


def train_texts(source: Path, documents: pl.Series) -> dict[int, str]:
    """The texts of the train documents with these indices."""
    texts: dict[int, str] = {}
    first = 0
    for part in parts(source):
        rows = read(part, ["split"])["split"].eq("train").arg_true()
        here = documents.filter((documents >= first) & (documents < first + len(rows))).to_list()
        if here:
            text = read(part, ["text"])["text"]
            texts |= dict(zip(here, text.gather(rows.gather([i - first for i in here])), strict=True))
        first += len(rows)
    return texts


def domain_of(source: Path) -> str | None:
    """The domain of a source's documents; None when none is left."""
    for part in parts(source):
        domains = read(part, ["domain"])["domain"]
        if len(domains):
            return domains[0]
    return None
