"""A config that is edited while jobs wait in the queue of a real Slurm: what then stands is what it says it is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.build import Build
from tests.cluster.slurm import wait_for
from tests.golden import ROOT, digests

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
TOKENS = "results/tokens/manifest.json"
CLEANED = "results/clean/jargon/manifest.json"
PATIENCE = 900


def config(file: Path, n_words: int) -> None:
    """Another least number of words for the jargon's domain."""
    file.write_text(f"process: {{overrides: {{encyclopedic: {{n_words: {{min: {n_words}}}}}}}}}\n")


def ask(build: Build, *words: str) -> subprocess.CompletedProcess:
    """A question of the engine's."""
    command = [sys.executable, "-m", "stemma", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=build.directory, env=environment, capture_output=True, text=True, check=False)


def stale(build: Build) -> set[str]:
    """What `why` finds stale on the way to the tokens, for the config as it is now."""
    answer = ask(build, "why", TOKENS, "--json")
    assert answer.returncode == 0, answer.stderr
    return {item["target"] for item in json.loads(answer.stdout)["stale"]}


def set_back(build: Build) -> None:
    """What was built last seems to be ten minutes older than the rest."""
    for file in (build.directory / "results/tokens").rglob("*"):
        stat = file.stat()
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns - 600 * 10**9))


@pytest.mark.parametrize("turn", [lambda build: None, set_back])
def test_a_run_ends_as_it_began_and_why_and_verify_know_it(cluster, built, tmp_path, turn):
    change, fresh = tmp_path / "change.yaml", tmp_path / "fresh.yaml"
    config(change, 85)
    build = built.build.fork(tmp_path / "fork", change)
    process = build.start(TOKENS)
    try:
        wait_for(lambda: ended(process) or is_cleaned_anew(build, built.build), "the first shard to be clean", PATIENCE)
        assert not ended(process), build.end(process).said
        cluster.run("scontrol", "update", "partitionname=main", "state=down")
        wait_for(lambda: cluster.run("squeue", "-h", "-t", "PD").stdout, "a job in the queue", PATIENCE)
        config(change, 70)
    finally:
        cluster.run("scontrol", "update", "partitionname=main", "state=up")
    done = build.end(process)
    assert done.returncode == 0, done.said
    turn(build)
    assert "results/clean/jargon" in stale(build)
    assert "results/tokens" in stale(build)
    assert ask(build, "verify").returncode == 0
    config(fresh, 85)
    as_it_began = tokens(build)
    assert as_it_began == tokens(local(built.build.fork(tmp_path / "before", fresh)))
    build.run(TOKENS)
    assert stale(build) == set()
    assert ask(build, "verify").returncode == 0
    config(fresh, 70)
    assert tokens(build) != as_it_began
    assert tokens(build) == tokens(local(built.build.fork(tmp_path / "after", fresh)))


def local(build: Build) -> Build:
    """The tokens built on this machine, where nobody edits anything."""
    build.run(TOKENS, profile="default")
    return build


def ended(process: subprocess.Popen) -> bool:
    return process.poll() is not None


def is_cleaned_anew(build: Build, before: Build) -> bool:
    """Does a first shard stand that is not the one of before?"""
    file = build.directory / CLEANED
    return file.exists() and file.read_bytes() != (before.directory / CLEANED).read_bytes()


def tokens(build: Build) -> dict[str, str]:
    found = {name: sha256 for name, sha256 in digests(build.directory).items() if name.startswith(("clean", "tokens"))}
    assert found
    return found
