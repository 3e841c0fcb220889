"""The workflow through profiles/slurm by the real Snakemake, in a directory of its own; what it submitted."""

import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from stemma.store.local import Store
from tests.golden import ROOT

SUBMITTED = re.compile(r"submitted with SLURM jobid (\d+) \(log: \S*/(?:rule|group)_(\w+)/")
PATIENCE = 1800  # seconds, of a busy machine too


def heed_interrupts() -> None:
    """What a shell runs in the background ignores SIGINT, and so does what that starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True)
class Submitted:
    """A build that ended: what it said, and the rules (or groups) of the jobs it put in the queue."""

    build: "Build"
    returncode: int
    said: str
    rules: list[str]


class Build:
    """One directory, with presets/tiny.yaml and further config files."""

    def __init__(self, directory: Path, *configs: Path):
        self.directory, self.configs = directory, configs

    def command(self, *arguments: str, profile: str = "slurm") -> list[str]:
        """Snakemake with polls as frequent as it can; profile `default` builds on this machine."""
        options = {
            "default": ["--cores", "2"],
            "generic": ["--seconds-between-status-checks", "1"],
            "slurm": ["--slurm-init-seconds-before-status-checks", "1"],
        }[profile]
        return [
            sys.executable, "-m", "snakemake", *arguments, "--snakefile", str(ROOT / "Snakefile"), "--profile",
            str(ROOT / "profiles" / profile), "--directory", str(self.directory), *options, "--configfile",
            str(ROOT / "presets/tiny.yaml"), *map(str, self.configs),
        ]  # fmt: skip

    def start(self, *arguments: str, profile: str = "slurm") -> subprocess.Popen:
        """Begin a build, which is not waited for."""
        return subprocess.Popen(
            self.command(*arguments, profile=profile),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=heed_interrupts,
        )

    def end(self, process: subprocess.Popen) -> Submitted:
        """Wait for it."""
        said, _ = process.communicate(timeout=PATIENCE)
        return Submitted(self, process.returncode, said, self.submitted())

    def run(self, *arguments: str, profile: str = "slurm") -> Submitted:
        """A build to its end; it must succeed."""
        done = self.end(self.start(*arguments, profile=profile))
        assert done.returncode == 0, done.said
        return done

    def submitted(self) -> list[str]:
        """Rules of what the last snakemake here submitted, by its own log."""
        logs = sorted((self.directory / ".snakemake/log").glob("*.log"), key=lambda file: file.stat().st_mtime)
        return [rule for _, rule in SUBMITTED.findall(logs[-1].read_text())] if logs else []

    def fork(self, directory: Path, *configs: Path) -> "Build":
        """A copy of it all, as it stands."""
        shutil.copytree(self.directory, directory, symlinks=True, dirs_exist_ok=True)
        return Build(directory, *(configs or self.configs))

    def store(self) -> Store:
        return Store(self.directory / "results/.store")

    def forget(self, *rules: str) -> None:
        """As if these rules had never run: their records are gone, with what stands of them."""
        from stemma.provenance.index import Index

        index = Index(self.store())
        for action, path in index.rows(
            "SELECT record.action, subject.path FROM record JOIN subject ON subject.record = record.id"
            f" WHERE record.rule IN ({', '.join('?' * len(rules))})",
            *rules,
        ):
            self.store().record_path(action).unlink(missing_ok=True)
            place = self.directory / path
            pointer = self.directory / "results/.records" / f"{Path(path).relative_to('results')}.json"
            pointer.unlink(missing_ok=True)
            place.unlink(missing_ok=True)
