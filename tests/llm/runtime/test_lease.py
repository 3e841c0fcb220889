"""One holder at a time: real processes that are killed, suspended, and that race."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llm.errors import InputError
from llm.runtime.lease import Lease, myself, newest

ROOT = Path(__file__).resolve().parents[3]
HOLDER = """
import sys, time
from pathlib import Path
from llm.runtime.lease import Lease
lease = Lease(Path(sys.argv[1]), "the run", 0.1, 1.0)
print("held", flush=True)
for _ in range(600):
    time.sleep(0.05)
    lease.check()
    with (Path(sys.argv[1]) / "written").open("a") as file:
        file.write(sys.argv[2] + "\\n")
"""


def hold(directory: Path, name: str = "a") -> subprocess.Popen:
    """A process that takes the lease or ends; it writes its name as long as it has it."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(directory), name], env=os.environ | {"PYTHONPATH": str(ROOT)}, **streams
    )


def test_the_living_keep_it_and_the_dead_lose_it_at_once(tmp_path: Path) -> None:
    holder = hold(tmp_path)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(InputError, match=f"the run is being trained by process {holder.pid} on .*wait for it or stop"):
        Lease(tmp_path, "the run", 0.1, 30)
    holder.kill()
    holder.wait()
    begun = time.monotonic()
    lease = Lease(tmp_path, "the run", 0.1, 30)
    assert time.monotonic() - begun < 10
    lease.check()
    lease.release()
    Lease(tmp_path, "the run", 0.1, 30).release()


def test_a_suspended_owner_finds_out_before_it_writes(tmp_path: Path) -> None:
    (tmp_path / "written").touch()
    first = hold(tmp_path, "first")
    assert first.stdout.readline() == "held\n"
    first.send_signal(signal.SIGSTOP)
    second = hold(tmp_path, "second")
    assert second.stdout.readline() == "held\n"
    while "second" not in (tmp_path / "written").read_text():
        time.sleep(0.05)
    first.send_signal(signal.SIGCONT)
    _, error = first.communicate(timeout=60)
    assert first.returncode != 0
    assert "another job has taken the run over" in error
    second.kill()
    second.communicate()
    written = (tmp_path / "written").read_text().splitlines()
    # At most one line that it had already begun to write when it was suspended.
    assert "first" not in written[written.index("second") + 2 :]


def test_of_many_that_race_one_wins(tmp_path: Path) -> None:
    dead = myself() | {"started": "0"}
    tmp_path.joinpath("lease-7").write_text(json.dumps(dead))
    racers = [hold(tmp_path, str(number)) for number in range(6)]
    ended = [racer for racer in racers if racer.stdout.readline() != "held\n"]
    assert len(ended) == 5
    for racer in racers:
        if racer in ended:
            assert "is being trained by process" in racer.communicate()[1]
        racer.kill()
        racer.communicate()
    assert newest(tmp_path) > 7


def test_an_owner_elsewhere_is_watched_for_a_while(tmp_path: Path) -> None:
    """Whether a process of another host runs cannot be known; that it does nothing for so long can."""
    tmp_path.joinpath("lease-1").write_text(json.dumps(myself() | {"kernel": "another", "host": "elsewhere"}))
    begun = time.monotonic()
    lease = Lease(tmp_path, "the run", 5, 0.5)
    assert time.monotonic() - begun >= 0.5
    lease.release()


def test_a_late_link_under_an_old_number_is_no_lease(tmp_path: Path) -> None:
    lease = Lease(tmp_path, "the run", 60, 1)
    for _ in range(5):
        lease.check()
    late = lease.number - 3
    assert not lease.link(late)
    assert not tmp_path.joinpath(f"lease-{late}").exists()
    lease.check()
    lease.release()
