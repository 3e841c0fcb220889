"""What a job leaves for its next attempt: there again under the same key, gone when it succeeds or grows old."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.stemma.yard import Yard, make_yard

COUNTING = """
    import os
    import time
    scratch, logs = Path(os.environ["STEMMA_SCRATCH"]), Path(os.environ["STEMMA_LOGS"])
    attempts = len(list(scratch.iterdir())) + 1
    (scratch / str(attempts)).write_text("")
    (logs / "live").write_text(str(attempts))
    if attempts < 3:
        raise ValueError(f"attempt {attempts}")
"""
PATIENT = """
    import os, signal, sys, time
    def stop(*_):
        print("error: stopped at step 5, run again to go on", file=sys.stderr)
        sys.exit(75)
    signal.signal(signal.SIGTERM, stop)
    (Path(os.environ["STEMMA_LOGS"]) / "ready").touch()
    time.sleep(60)
"""
DEAF = """
    import os, time
    (Path(os.environ["STEMMA_LOGS"]) / "ready").touch()
    time.sleep(60)
"""


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return make_yard(tmp_path)


def insert(yard: Yard, text: str) -> None:
    """Put lines before the first script's work."""
    file = yard.path / "scripts/s/first.py"
    file.write_text(file.read_text().replace("    (parts / 'a.txt')", text.strip("\n") + "\n    (parts / 'a.txt')", 1))


def scratch(yard: Yard) -> list[Path]:
    return list((yard.store.path / "scratch").glob("*"))


def test_scratch_outlives_failures_and_goes_with_success(yard: Yard):
    insert(yard, COUNTING)
    for attempt in (1, 2):
        status, error = yard.run("first")
        assert status == 2
        assert f"attempt {attempt}" in error
        assert len(scratch(yard)) == 1
    status, error = yard.run("first")
    assert status == 0, error
    assert scratch(yard) == []
    assert (yard.path / "results/logs/first/live").read_text() == "3"


def given_away(path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give files away")
    path.write_text("")
    os.chown(path, 65534, 65534)


def link(path: Path) -> None:
    path.symlink_to("1")


@pytest.mark.parametrize("plant", [given_away, link])
def test_what_another_user_left_is_not_gone_on_from(yard: Yard, plant):
    """In a store that several have: else it would come into a result that this user signs."""
    insert(yard, COUNTING)
    assert "attempt 1" in yard.run("first")[1]
    [place] = scratch(yard)
    plant(place / "planted")
    for attempt in (1, 2):
        status, error = yard.run("first")
        assert f"attempt {attempt}" in error
        assert f"{place.relative_to(yard.path)} holds what another user has left" in error
    assert yard.run("first")[0] == 0
    assert scratch(yard) == [place]


def test_another_key_has_another_scratch(yard: Yard):
    insert(yard, COUNTING)
    yard.run("first")
    yard.times += 1
    assert "attempt 1" in yard.run("first")[1]
    assert len(scratch(yard)) == 2


def test_gc_takes_what_is_old(yard: Yard):
    insert(yard, COUNTING)
    yard.run("first")
    old, new = scratch(yard)[0], yard.store.path / "scratch/new"
    new.mkdir()
    when = time.time() - 8 * 86400
    for path in (*old.iterdir(), old):
        os.utime(path, (when, when))
    assert "1 scratch directories of unfinished jobs would go" in yard.ask("gc", "--dry-run")
    assert len(scratch(yard)) == 2
    yard.ask("gc")
    assert scratch(yard) == [new]


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [(PATIENT, 2, "first results/parts: stopped at step 5, run again to go on"), (DEAF, 143, "")],
)
def test_a_runner_that_is_told_to_stop_tells_its_script(yard: Yard, text: str, status: int, said: str):
    insert(yard, text)
    process = yard.start("first")
    while not (yard.path / "results/logs/first/ready").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=30)
    assert process.returncode == status, error
    assert said in error
