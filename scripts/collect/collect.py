"""Extract one source's archive (or the user's own files) into raw documents, unfiltered."""

from pathlib import Path

from llm.collect.extract import Recipe, collect
from llm.command import command


def main(
    archive: Path,
    documents: Path,
    *,
    source: str,
    part: int,
    parts: int,
    origin: str,
    file: str,
    format: str,
    include: list,
    exclude: list,
    archives: list,
    column: str,
    extractor: str,
    domain: str,
    license: str,
    refused: list,
) -> dict:
    """archive: a fetched archive, or the user's file or directory. documents: an empty directory to fill with parquet
    shards. part, parts: which of how many parts of the source, counted from 0. origin: begins every document's url.
    file: the name of the one member if the archive is a plain file. include, exclude: globs over member names ([]:
    what the format usually is). archives: globs over members that are archives themselves. column: the text's column
    (jsonl and parquet). extractor: fast or precise (html and warc). refused: globs over licences. Returns
    {"documents", "bytes", "shards", "members", "skipped", "decoded", "languages", "licenses"}."""
    recipe = Recipe(
        source=source,
        part=part,
        parts=parts,
        origin=origin,
        file=file,
        format=format,
        include=include,
        exclude=exclude,
        archives=archives,
        column=column,
        extractor=extractor,
        domain=domain,
        license=license,
        refused=refused,
    )
    return collect(archive, documents, recipe)


if __name__ == "__main__":
    command(main)
