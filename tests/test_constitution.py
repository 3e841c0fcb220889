"""Constitutional AI through the rules, on the tiny preset: what it needs is there already, and comes from the store."""

import json
from pathlib import Path

import polars as pl
import pytest

from llm.align.constitution import read_constitution
from tests.build import build
from tests.golden import ROOT
from tests.stemma.conftest import jobs

# Its parts' tests are in tests/llm/align/; this one costs a tiny build where another worker has made that already.
pytestmark = pytest.mark.thorough
CHECKABLE = ROOT / "constitutions/checkable.yaml"
MADE = "results/align"
TARGETS = [
    f"{MADE}/adherence/checkable/sft-checkable-random.json",
    f"{MADE}/ppo-checkable/manifest.json",
]
PPO = {"samples": 2, "held_out": 2, "normalising_prompts": 4}
PPO |= {"schedule": {"steps": 2, "batch_size": 2, "learning_rate": 0.001, "warmup_steps": 1}}


def overlay(tiny: Path, directory: Path, align: dict) -> list[str]:
    """What tells a build to use the store of the tiny one, and changes of its `align`."""
    (directory / "overlay.yaml").write_text(json.dumps({"store": str(tiny / "results/.store"), "align": align}))
    return ["--configfile", str(ROOT / "presets/tiny.yaml"), str(directory / "overlay.yaml")]


def test_targets_of_a_constitution(tiny, tmp_path):
    told = [*overlay(tiny, tmp_path, {"ppo": PPO}), "--", *TARGETS]
    ran = [rule for rule, how in jobs(build(tmp_path, *told)) if how == "run"]
    assert sorted(ran) == sorted(["revisions", "sft", "merge", "adherence", "reward", "policy"])
    assert jobs(build(tmp_path, *told)) == []
    rows = (tmp_path / MADE / "preferences-checkable/train.jsonl").read_text().splitlines()
    pair = json.loads(rows[0])
    assert {"principle", "requests", "seeds", "writer", "prompt", "chosen", "rejected"} <= pair.keys()
    written = json.loads((tmp_path / MADE / "sft-checkable-random/adapter_config.json").read_text())
    assert written["base_model_name_or_path"] == "../../models/sft"
    asked = set(pl.read_parquet(tmp_path / MADE / "ppo-checkable/rollouts.parquet")["prompt"])
    assert asked <= {row["prompt"] for row in read_constitution(CHECKABLE).prompts["train"]}


def test_a_constitution_of_ones_own_is_an_input(tiny, tmp_path):
    """An edit of the file makes what was written by it stale, and the rule finds it in the directory of the run."""
    own, target = tmp_path / "own.yaml", f"{MADE}/critiques-own/manifest.json"
    brief = "{critique: Long, revision: Short., choice: Short, test: {most_words: 9}}"
    told = [*overlay(tiny, tmp_path, {"constitution": {"files": {"own": "own.yaml"}}}), "--", target]
    for text in (f"version: 1\nprinciples: {{brief: {brief}}}\n", f"version: 2\nprinciples: {{brief: {brief}}}\n"):
        own.write_text(text)
        assert ("critiques", "run") in jobs(build(tmp_path, *told))
        rows = (tmp_path / target).with_name("train.jsonl").read_text().splitlines()
        found = {(row["principle"], row["constitution"]) for row in map(json.loads, rows)}
        assert found == {("brief", int(text[9]))}
