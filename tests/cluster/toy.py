"""The toy workflow of the engine's tests, each of its jobs through the queue of the real Slurm."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster.slurm import wait_for
from tests.golden import ROOT
from tests.stemma.conftest import LINE, Toy

SUBMITTED = re.compile(r"has been submitted with SLURM jobid (\w+)")
PATIENCE = 180
QUIET = ("--quiet", "rules", "host", "reason")


class Running:
    """A snakemake at work; `lines` is what it has said so far."""

    def __init__(self, process: subprocess.Popen):
        self.process, self.lines = process, []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self) -> None:
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    def said(self, beginning: str) -> list[str]:
        """All lines that begin so."""
        return [line for line in self.lines if line.startswith(beginning)]

    def complaints(self) -> list[str]:
        """What it has said that is neither of what it set out to do nor of what came of it."""
        words = ("Using profile", "  ")
        said = [line for line in self.lines if not line.startswith(words) and not LINE.match(line)]
        return [line for line in said if not re.match(r"\d+ (of \d+ )?jobs?\b", line)]

    def wait_for_line(self, beginning: str) -> str:
        """The first line that begins so."""
        wait_for(lambda: self.process.poll() is not None or self.said(beginning), f"a line {beginning}", PATIENCE)
        assert self.said(beginning), self.lines
        return self.said(beginning)[0]

    def end(self) -> int:
        """Its exit status, once it has ended by itself."""
        self.process.wait(PATIENCE)
        self.reader.join()
        return self.process.returncode

    def terminate(self) -> int:
        """SIGTERM to it alone, then its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.end()


class OnSlurm(Toy):
    """The toy, through profiles/slurm. It asks Slurm as often as it can and tries nothing again, unless told to."""

    def command(self, *arguments: str) -> list[str]:
        options = ["--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5", *QUIET]
        retries = [] if "--retries" in arguments else ["--retries", "0"]
        profile = ["--profile", str(ROOT / "profiles/slurm")]
        return [sys.executable, "-m", "snakemake", *profile, *options, *retries, *arguments]

    @contextmanager
    def running(self, *arguments: str, **environment: str) -> Iterator[Running]:
        """A build at work; it is killed when the block ends."""
        process = subprocess.Popen(
            self.command(*arguments),
            cwd=self.path,
            env=self.environment | environment,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield Running(process)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def submitted(self) -> list[str]:
        """Slurm's numbers of what the last snakemake here put into the queue, by its own log."""
        logs = sorted((self.path / ".snakemake/log").glob("*.log"), key=lambda file: file.stat().st_mtime)
        return SUBMITTED.findall(logs[-1].read_text()) if logs else []

    def first_does(self, body: str) -> None:
        """What the first job does before its work: statements at the depth of a function."""
        self.replace("llm/deep/low.py", "return text.upper()", f"{body}\n    return text.upper()")
