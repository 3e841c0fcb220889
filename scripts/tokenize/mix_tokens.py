"""Compute what the sampling plan amounts to in tokens; its shares were in bytes, before there was a tokenizer."""

import json
from collections import Counter
from pathlib import Path

from llm.command import command
from llm.errors import InputError
from llm.io.json import write_json
from llm.io.parquet import ROWS, height, read
from llm.tokenize.indexed import IndexedTokens


def main(plan: Path, report: Path, tokens: Path, figures: Path) -> dict:
    """plan, report: of `mix`. tokens: all sources' token shards. figures: the JSON file to write: by domain
    uses, bytes, tokens (each document's [BOS] and [EOS] included), the share asked for, those of bytes and tokens."""
    metas = {path.parent.name: json.loads(path.read_text()) for path in sorted(tokens.glob("*/meta.json"))}
    lengths = {source: IndexedTokens(tokens / source / "train").lengths for source in metas}
    asked = json.loads(report.read_text())["domains"]
    counts = {domain: Counter(uses=0, bytes=0, tokens=0) for domain in asked}
    for begin in range(0, height(plan), ROWS):
        block = read(plan, ["source", "document", "bytes"], (begin, ROWS))
        for (source,), uses in block.partition_by("source", as_dict=True).items():
            documents = uses["document"].to_numpy()
            if source not in lengths or documents.max() >= len(lengths[source]):
                raise InputError(f"{plan.name} uses documents of {source} without tokens; build the token shards again")
            counts[metas[source]["domain"]].update(
                uses=len(uses), bytes=int(uses["bytes"].sum()), tokens=int(lengths[source][documents].sum())
            )
    total = sum(counts.values(), Counter())
    domains = {}
    for domain, count in counts.items():
        shares = {
            f"{name}_share": round(count[f"{name}s"] / max(1, total[f"{name}s"]), 6) for name in ("byte", "token")
        }
        domains[domain] = dict(count) | shares | {"asked_share": asked[domain]["asked_share"]}
    result = dict(total) | {"domains": domains}
    write_json(figures, result)
    return result


if __name__ == "__main__":
    command(main)
