"""The whole workflow on a real Slurm of two nodes: the same artifacts as on one machine, and only what is stale."""

import json
import shutil
from collections import Counter

import pytest

from stemma.code import numeric
from tests.cluster.build import Build
from tests.golden import GOLDEN, digests, is_trained
from tests.stemma.conftest import LINE

pytestmark = pytest.mark.cluster


def test_every_artifact_is_the_one_that_a_local_build_gives(built):
    golden, found = json.loads(GOLDEN.read_text()), digests(built.build.directory)
    same = golden["processor"] == numeric.instruction_set()
    assert {name: found[name] for name in found if same or not is_trained(name)} == {
        name: sha256 for name, sha256 in golden["sha256"].items() if same or not is_trained(name)
    }


def test_what_follows_each_other_in_a_moment_is_submitted_together(built):
    together = [
        "corpus_clean_shards_croissant_mix",
        "examples_instructions_preferences",
        "tokens_mix_tokens_token_shards",
    ]
    assert set(together) <= set(built.rules)
    assert not {"mix", "croissant", "preferences", "mix_tokens", "fetch", "report"} & set(built.rules)


def test_nothing_is_submitted_when_nothing_is_stale(built):
    done = built.build.run()
    assert "Nothing to be done" in done.said
    assert done.rules == []


def test_a_changed_threshold_submits_clean_and_what_follows(built, tmp_path):
    change = tmp_path / "change.yaml"
    change.write_text("process: {thresholds: {ellipsis_line_ratio: {max: 0.0}}}\n")
    done = built.build.fork(tmp_path / "fork", change).run("clean_shards", "results/mix/plan.parquet")
    assert Counter(done.rules) == {"clean": 3, "corpus_clean_shards_mix": 1}


def test_a_threshold_of_one_domain_submits_the_shards_of_that_domain(built, tmp_path):
    change = tmp_path / "change.yaml"
    change.write_text("process: {overrides: {encyclopedic: {n_words: {min: 60}}}}\n")
    done = built.build.fork(tmp_path / "fork", change).run("clean_shards", "results/mix/plan.parquet")
    assert Counter(done.rules) == {"clean": 1, "corpus_clean_shards_mix": 1}


def test_what_the_store_holds_is_not_submitted(built, tmp_path):
    build = built.build.fork(tmp_path / "fork")
    shutil.rmtree(build.directory / "results/clean")
    (build.directory / "results/mix/plan.parquet").unlink()
    done = build.run()
    assert done.rules == []
    assert digests(build.directory) == digests(built.build.directory)


def test_what_the_cluster_built_is_a_hit_on_this_machine(built, tmp_path):
    shared = tmp_path / "shared.yaml"
    shared.write_text(f"shared_store: {built.build.directory}/results/.store\n")
    laptop = Build(tmp_path / "laptop", shared)
    laptop.directory.mkdir()
    done = laptop.run(profile="default")
    assert {how for _, how in lines(done.said)} == {"hit"}
    assert digests(laptop.directory) == digests(built.build.directory)


def lines(said: str) -> list[tuple[str, str]]:
    """(rule, hit or run) of every job that ended."""
    return [(match[2], match[4]) for match in LINE.finditer(said)]
