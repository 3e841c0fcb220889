"""What a new source costs deduplication, by the real workflow: its own signatures, and the joint jobs once more."""

import json
from pathlib import Path

from tests.stemma.conftest import jobs
from tests.test_bad_documents import prose
from tests.test_bad_input import snakemake

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
