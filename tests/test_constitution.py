"""Constitutional AI through the rules, on the tiny preset: what it needs is there already, and comes from the store."""

import json

from tests.build import build
from tests.stemma.conftest import jobs

MADE = "results/align"
TARGETS = [
    f"{MADE}/adherence/checkable/dpo-checkable.json",
    f"{MADE}/adherence/checkable/sft-checkable-random.json",
    f"{MADE}/reward-checkable/manifest.json",
]


def test_targets_of_a_constitution(tiny, tmp_path):
    store = ["--config", f"store={tiny / 'results/.store'}", "--", *TARGETS]
    ran = [rule for rule, how in jobs(build(tmp_path, *store)) if how == "run"]
    assert sorted(ran) == sorted(
        [
            "critiques",
            "ai_preferences",
            "revisions",
            "paired",
            "sft",
            "reward",
            "merge",
            "merge",
            "adherence",
            "adherence",
        ]
    )
    assert jobs(build(tmp_path, *store)) == []
    rows = (tmp_path / MADE / "preferences-checkable/train.jsonl").read_text().splitlines()
    pair = json.loads(rows[0])
    assert {"principle", "requests", "seeds", "writer", "prompt", "chosen", "rejected"} <= pair.keys()
    written = json.loads((tmp_path / MADE / "sft-checkable-random/adapter_config.json").read_text())
    assert written["base_model_name_or_path"] == "../../models/sft"


def test_a_constitution_of_ones_own_is_an_input(tiny, tmp_path):
    """An edit of the file makes what was written by it stale, and the rule finds it in the directory of the run."""
    own = tmp_path / "own.yaml"
    text = (
        "version: 1\nprinciples:\n  brief: {critique: Long, revision: Short., choice: Short, test: {most_words: 9}}\n"
    )
    own.write_text(text)
    files = json.dumps({"constitution": {"files": {"own": "own.yaml"}}})
    told = [
        "--config",
        f"store={tiny / 'results/.store'}",
        f"align={files}",
        "--",
        f"{MADE}/critiques-own/manifest.json",
    ]
    assert ("critiques", "run") in jobs(build(tmp_path, *told))
    own.write_text(text + "# said otherwise\n")
    assert ("critiques", "run") in jobs(build(tmp_path, *told))
    assert (
        json.loads((tmp_path / MADE / "critiques-own/train.jsonl").read_text().splitlines()[0])["principle"] == "brief"
    )
