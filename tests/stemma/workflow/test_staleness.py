"""The engine's judgement in Snakemake's place: staleness without .snakemake, hits that no cluster is asked for."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.stemma.conftest import ALL_RUN, Toy, jobs
from tests.stemma.workflow.test_attach import wait_for


def cluster(toy: Toy) -> tuple[subprocess.CompletedProcess, list[str]]:
    """Build through an executor that submits; (how it went, rules that were submitted, in order)."""
    log, submit = toy.path / "submitted.txt", toy.path / "submit.sh"
    log.unlink(missing_ok=True)
    submit.write_text(
        f'#!/bin/sh\ngrep -o "\\"rule\\": \\"[a-z]*\\"" "$1" >> {log}\nsh "$1" >> jobs.log 2>&1\necho 1\n'
    )
    submit.chmod(0o755)
    done = toy.snakemake(
        "--executor", "cluster-generic", "--cluster-generic-submit-cmd", str(submit), "--jobs", "2",
        "--latency-wait", "1", "--seconds-between-status-checks", "1",
    )  # fmt: skip
    lines = log.read_text().splitlines() if log.exists() else []
    return done, [line.split('"')[3] for line in lines]


def test_deleted_metadata_forgets_nothing(built: Toy):
    shutil.rmtree(built.path / ".snakemake")
    assert built.build() == []
    shutil.rmtree(built.path / ".snakemake")
    assert built.build("--config", "times=3") == ALL_RUN


def test_killed_rebuild_is_taken_up_again(built: Toy):
    """kill -9 in a stale job: what follows is stale until then, though its files look whole."""
    built.replace("llm/deep/low.py", "return text.upper()", "import time; time.sleep(30)\n    return text.title()")
    process = subprocess.Popen(built.command(), cwd=built.path, stderr=subprocess.DEVNULL, env=built.environment)
    workspace = built.path / "results/.store/tmp"
    wait_for(lambda: any(workspace.glob("*/parts/0")))
    process.send_signal(signal.SIGKILL)
    process.wait()
    built.replace("llm/deep/low.py", "time.sleep(30)", "time.sleep(0)")
    assert built.build() == ALL_RUN
    assert "Hello" in built.read("results/parts/a.txt")
    assert built.build() == []


def test_hits_are_not_submitted(toy: Toy):
    done, submitted = cluster(toy)
    assert done.returncode == 0, done.stderr
    assert submitted == ["first", "second", "third"]
    toy.replace("llm/deep/low.py", "return text.upper()", "louder = text.upper()\n    return louder")
    done, submitted = cluster(toy)
    assert done.returncode == 0, done.stderr
    assert submitted == ["first"], "a refactor with equal bytes submits one job"
    assert jobs(done) == [("first", "run"), ("second", "hit"), ("third", "hit")]
    done, submitted = cluster(toy)
    assert (done.returncode, submitted, jobs(done)) == (0, [], [])


def test_revert_submits_nothing(toy: Toy):
    cluster(toy)
    toy.replace("llm/deep/low.py", "upper", "title")
    assert cluster(toy)[1] == ["first", "second", "third"]
    toy.replace("llm/deep/low.py", "title", "upper")
    done, submitted = cluster(toy)
    assert submitted == []
    assert jobs(done) == [("first", "hit"), ("second", "hit"), ("third", "hit")]


def record_of(toy: Toy, name: str) -> Path:
    """The record of an artifact in the store."""
    action = json.loads(toy.read(f"results/.records/{name}.json"))["action"]
    return toy.path / f"results/.store/records/{action[:2]}/{action[2:]}.json"


def ask(toy: Toy, *words: str) -> str:
    """What `python -m stemma` answers."""
    command = [sys.executable, "-m", "stemma", *words]
    done = subprocess.run(command, cwd=toy.path, env=toy.environment, capture_output=True, text=True, check=False)
    return done.stdout


def test_an_artifact_whose_record_is_lost_is_built_again(built: Toy):
    """Nobody could say what it was made from, so no job would take it for an input."""
    record_of(built, "joined.txt").unlink()
    assert "fault: results/joined.txt: its record" in ask(built, "verify")
    assert "record lost: results/joined.txt" in ask(built, "why", "results/final.txt")
    assert "record lost  (results/joined.txt)" in built.snakemake("-n").stdout
    assert built.build() == [("second", "run"), ("third", "hit")]
    assert ask(built, "verify").startswith("verified")
    assert built.build() == []


def test_a_lost_store_is_made_anew(built: Toy):
    """Before, nothing was stale, and the first job to read an artifact refused it."""
    shutil.rmtree(built.path / "results/.store")
    built.replace("llm/other.py", "'!'", "'?'")
    assert built.build() == ALL_RUN
    assert ask(built, "verify").startswith("verified")


def test_what_the_shared_store_still_has_comes_back(built: Toy):
    (built.path / "shared").mkdir()
    built.replace("Snakefile", 'Settings(key="key.pem"', 'Settings(key="key.pem", shared="shared"')
    built.replace("config.yaml", "times: 2", "times: 3")
    assert built.build() == ALL_RUN
    shutil.rmtree(built.path / "results/.store")
    assert built.build() == [("first", "hit"), ("second", "hit"), ("third", "hit")]


def test_another_signing_key_builds_again_what_the_old_one_signed(built: Toy):
    """As in a container with another HOME. Before, nothing was stale, and what reads records ended with an error."""
    built.replace("Snakefile", 'Settings(key="key.pem"', 'Settings(key="other.pem"')
    assert "record of a key that is not trusted" in built.snakemake("-n").stdout
    assert built.build() == ALL_RUN
    assert ask(built, "verify").startswith("verified")
    assert built.build() == []


def test_what_a_trusted_key_signed_stays(built: Toy):
    pem = subprocess.check_output(["openssl", "pkey", "-in", "key.pem", "-pubout"], cwd=built.path)
    (built.path / "old.pem").write_bytes(pem)
    built.replace("Snakefile", 'Settings(key="key.pem"', 'Settings(key="other.pem", trusted=("old.pem",)')
    assert built.build() == []
    assert ask(built, "verify").startswith("verified")
