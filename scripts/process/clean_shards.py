"""Gather the clean shards of all sources in one directory, with totals by domain, split and reason."""

from collections import Counter
from pathlib import Path

import polars as pl

from llm.command import command
from llm.errors import InputError
from llm.io.link_tree import link_trees
from llm.io.parquet import height, parts, read

CARD = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: "*/part-*.parquet"
---

# Clean documents

One row for each document, one directory for each source. `split` says what a document is for, train or validation; \
`license`
and `domain` are its own. What was dropped, and why, is beside this directory, in dropped/.
"""


def main(documents: list[Path], shards: list[Path], dropped: list[Path], clean: Path) -> dict:
    """documents, shards, dropped: each source's directories of raw shards, of clean ones and of what was dropped,
    in one order. clean: empty directory to fill with <source>/ of links and a README.md that the Hub and `datasets`
    read. A source whose documents are not all kept or dropped by name: InputError."""
    link_trees(shards, clean)
    totals: dict[str, dict[str, Counter]] = {"domains": {}, "splits": {}}
    (clean / "README.md").write_text(CARD, encoding="utf-8")
    reasons: Counter[str] = Counter()
    came = 0
    for raw, directory, without in zip(documents, shards, dropped, strict=True):
        n_raw = sum(map(height, parts(raw)))
        n_kept = n_dropped = 0
        for path in parts(directory):
            table = read(path, ["domain", "split", "n_bytes"])
            n_kept += len(table)
            for name, column in (("domains", "domain"), ("splits", "split")):
                for value, n, size in table.group_by(column).agg(pl.len(), pl.sum("n_bytes")).iter_rows():
                    totals[name].setdefault(value, Counter()).update(documents=n, bytes=size)
        for path in parts(without):
            found = read(path, ["reason"])["reason"]
            n_dropped += len(found)
            reasons.update(dict(found.value_counts().iter_rows()))
        if n_raw != n_kept + n_dropped:
            raise InputError(
                f"source {directory.name}: {n_raw} raw documents, but {n_kept} clean and {n_dropped} dropped by name; "
                "its clean shards belong to other raw shards, build them again"
            )
        came += n_raw
    for split in ("train", "validation"):
        if split not in totals["splits"]:
            raise InputError(
                f"none of the {came - reasons.total()} clean documents is for {split}: "
                "change process.validation_fraction or add documents"
            )
    return {
        "sources": len(shards),
        "documents_in": came,
        "documents_out": came - reasons.total(),
        **{name: {value: dict(own) for value, own in sorted(found.items())} for name, found in totals.items()},
        "dropped": dict(sorted(reasons.items())),
    }


if __name__ == "__main__":
    command(main)
