"""Gather all sources' token shards in one directory, by links."""

import json
from collections import defaultdict
from pathlib import Path

from llm.command import command
from llm.io.link_tree import link_tree
from llm.tokenize.documents import SPLITS


def main(shards: list[Path], tokens: Path) -> dict:
    """shards: one directory of token shards for each source. tokens: empty directory to fill. Returns the metrics."""
    counts: dict = defaultdict(lambda: defaultdict(lambda: {"documents": 0, "bytes": 0, "tokens": 0}))
    for directory in shards:
        meta = json.loads((directory / "meta.json").read_text(encoding="utf-8"))
        link_tree(directory, tokens / meta["source"])
        for split in SPLITS:
            for name, count in meta[split].items():
                counts[split][meta["domain"] or "none"][name] += count
    for domains in counts.values():
        domains["all"] = {name: sum(d[name] for d in domains.values()) for name in ("documents", "bytes", "tokens")}
        for domain in domains.values():
            domain["bytes_per_token"] = domain["bytes"] / max(1, domain["tokens"])
    return counts


if __name__ == "__main__":
    command(main)
