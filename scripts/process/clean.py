"""Filter one source's documents by the thresholds, drop duplicates, redact personal data, split off validation."""

from pathlib import Path

import polars as pl

from llm.command import command
from llm.io.parquet import read, write
from llm.process.corpus.clean import RAW, Account, Known, clean, split_limit, verdicts
from llm.process.quality.thresholds import resolve
from llm.process.settings.clean import CleanSettings
from llm.progress import progress


def main(
    documents: Path,
    annotations: Path,
    duplicates: Path,
    shards: Path,
    dropped: Path,
    scores: Path | None = None,
    contamination: Path | None = None,
    names: Path | None = None,
    substrings: Path | None = None,
    *,
    settings: CleanSettings,
) -> dict:
    """documents, annotations, scores, names, substrings: directories of shards. duplicates, contamination: files of all
    rows. shards: empty directory, gets part-*.parquet; dropped: the same for `id` and `reason` of what does not stay.
    Returns counts; documents in = documents out + dropped."""
    rules = resolve(**vars(settings))
    known = Known(documents, annotations, duplicates, scores, contamination, names, substrings)
    kept = (table.filter(pl.col("reason").is_null())["cluster"].to_list() for _, table in verdicts(known, rules))
    limit = split_limit(kept, rules)
    account = Account()
    for path, table in verdicts(known, rules):
        raw = read(path, list(RAW))
        stays = clean(raw, table, limit, rules)
        account.add(raw, table, stays, rules)
        write(stays, shards / path.name)
        write(table.filter(pl.col("reason").is_not_null()).select("id", "reason"), dropped / path.name)
        progress(f"{account.documents['in']:,} documents, {account.documents['out']:,} stay")
    return account.metrics(documents.name)


if __name__ == "__main__":
    command(main)
