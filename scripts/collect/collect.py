"""Extract one source's archive (or the user's own files) into raw documents, unfiltered."""

from pathlib import Path

from llm.collect.extract import collect
from llm.collect.settings import Recipe
from llm.command import command


def main(archive: Path, documents: Path, *, settings: Recipe) -> dict:
    """archive: a fetched archive, or the user's file or directory. documents: an empty directory to fill with parquet
    shards. Returns {"documents", "bytes", "shards", "members", "skipped", "decoded", "languages", "licenses"}."""
    return collect(archive, documents, settings)


if __name__ == "__main__":
    command(main)
