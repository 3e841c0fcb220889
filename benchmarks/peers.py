"""Where peers are and how one is run: benchmarks/peer_work.py in the environment that `make peers` makes."""

import json
import subprocess
from pathlib import Path

from benchmarks.compare import Work
from stemma.base.settings import ROOT

PYTHON = ROOT / ".venv/peers/bin/python"


def missing() -> bool:
    """Whether there are no peers here; says so in one line."""
    if PYTHON.exists():
        return False
    print("the peers are not measured: run `make peers` first")
    return True


def work(name: str, *arguments: Path) -> Work:
    """A function of peer_work.py, each time in a process of its own; start-up and imports do not count."""

    def run() -> dict[str, float]:
        command = [PYTHON, Path(__file__).with_name("peer_work.py"), name, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"error: peer_work.py {name}: {done.stderr.strip()[-2000:]}")
        return json.loads(done.stdout.splitlines()[-1])

    return run
