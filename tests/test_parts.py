"""A source in parts, by the real workflow: the same documents stay as of the whole, and a threshold costs little."""

import json
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from tests.stemma.conftest import jobs
from tests.test_bad_documents import prose
from tests.test_bad_input import snakemake

CLEAN = "results/clean/manifest.json"


def overlay(directory: Path, parts: int, least: int = 50) -> dict:
    """Two sources, one of them in parts; some documents stand twice in it, nearly twice, or in the other one too."""
    texts = [prose(i) for i in range(60)]
    texts += [texts[0], texts[0] + " So it is.", texts[2] + " So it was.", prose("short", 20)]
    sources = {}
    for name, own in {"large": texts, "small": [texts[4], prose("small"), prose("other")]}.items():
        (directory / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in own))
        place = {"path": str(directory / f"{name}.jsonl"), "format": "jsonl"}
        sources[name] = place | {"domain": "web", "license": "MIT"}
    sources["large"]["parts"] = parts
    decided = {
        "thresholds": {"n_words": {"min": least}},
        "validation_fraction": 0.2,
        "decontaminate": {"evaluations": []},
        "reference": {"curated": [], "toxicity": None},
    }
    return {"corpus": ["large", "small"], "sources": sources, "process": decided}


def cleaned(directory: Path) -> tuple[Counter, Counter]:
    """(source, text) of the documents that stay, and why the others do not."""
    kept, dropped = (
        pl.concat(map(pl.read_parquet, sorted(directory.glob(f"results/{kind}/*/*.parquet"))))
        for kind in ("clean", "dropped")
    )
    return Counter(kept.select("source", "text").iter_rows()), Counter(dropped["reason"].to_list())


@pytest.mark.thorough
def test_parts_keep_what_the_whole_keeps_and_a_threshold_runs_their_clean_jobs_alone(tmp_path: Path) -> None:
    found = {}
    for parts in (1, 3):
        directory = tmp_path / str(parts)
        directory.mkdir()
        done = snakemake(directory, overlay(directory, parts), CLEAN)
        assert done.returncode == 0, done.stderr
        assert Counter(rule for rule, _ in jobs(done))["minhash"] == parts + 1
        found[parts] = cleaned(directory)
    assert found[3] == found[1]
    assert found[3][1] == {"exact_duplicate": 2, "near_duplicate": 2, "n_words_min": 1}
    done = snakemake(directory, overlay(directory, 3, 10), CLEAN)
    assert done.returncode == 0, done.stderr
    assert Counter(rule for rule, _ in jobs(done)) == {"clean": 4, "clean_shards": 1}
