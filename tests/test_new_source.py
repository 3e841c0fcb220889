"""What a new source costs deduplication, by the real workflow: its own signatures, and the joint jobs once more."""

import json
from pathlib import Path

import polars as pl
import pytest
import yaml

from tests.stemma.conftest import jobs
from tests.test_bad_documents import prose
from tests.test_bad_input import ROOT, snakemake

EDGES = "results/edges/0.parquet"


def overlay(directory: Path, names: list[str]) -> dict:
    """A configuration of these sources, each a file of its own with documents that others have too."""
    sources = {}
    for name in names:
        path = directory / f"{name}.jsonl"
        path.write_text("".join(json.dumps({"text": prose(seed)}) + "\n" for seed in ("all", name)))
        sources[name] = {"path": str(path), "format": "jsonl", "domain": "web", "license": "MIT"}
    decided = {"decontaminate": {"evaluations": []}, "reference": {"curated": [], "toxicity": None}}
    return {"corpus": names, "sources": sources, "process": decided}


def test_a_new_source_signs_only_its_own(tmp_path: Path) -> None:
    def build(names: list[str]) -> list[str]:
        done = snakemake(tmp_path, overlay(tmp_path, names), EDGES)
        assert done.returncode == 0, done.stderr
        assert all(how == "run" for _, how in jobs(done))
        return sorted(rule for rule, _ in jobs(done))

    joint = ["candidates", "edges"]
    assert build(["a", "b"]) == sorted([*joint, *["collect", "minhash"] * 2])
    assert build(["a", "b", "c"]) == sorted([*joint, "collect", "minhash"])
    assert build(["a", "b", "c"]) == []


@pytest.mark.thorough
def test_another_corpus_in_the_same_directory(tmp_path: Path) -> None:
    """What the first one left in results/ is nothing to the second: the mix walks the clean shards of its own."""

    def mixed(names: list[str]) -> set[str]:
        over = overlay(tmp_path, names)
        over["process"] |= {"validation_fraction": 0.5, "thresholds": lifted, "overrides": {"web": {}}}
        done = snakemake(tmp_path, over, "results/mix/report.json")
        assert done.returncode == 0, done.stderr
        plan = pl.read_parquet(tmp_path / "results/mix/plan.parquet")
        return set(plan["source"].cast(pl.String))

    lifted = dict.fromkeys(yaml.safe_load((ROOT / "config.yaml").read_text())["process"]["thresholds"])
    assert mixed(["a"]) == {"a"}
    assert mixed(["b", "c"]) <= {"b", "c"}
    assert mixed(["a"]) == {"a"}
