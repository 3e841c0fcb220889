"""The engine's judgement in Snakemake's place: staleness without .snakemake, hits that no cluster is asked for."""

import shutil
import signal
import subprocess

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
