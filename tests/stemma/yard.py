"""The toy's three scripts run by the engine's own command line, without Snakemake: for tests of many single jobs."""

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from stemma.base import digest
from stemma.base.errors import StemmaError
from stemma.base.settings import Settings
from stemma.execute.run import run_job
from stemma.provenance.dsse import Keyring, fault
from stemma.provenance.publish import objects_of
from stemma.provenance.record import Job
from stemma.provenance.trust import Records, shaped
from stemma.store import artifact
from stemma.store.local import Store
from tests.stemma.conftest import REPOSITORY, planted

RULES = ("first", "second", "third")
OUTPUTS = {
    "first": ("parts", "results/parts/manifest.json"),
    "second": ("joined", "results/joined.txt"),
    "third": ("final", "results/final.txt"),
}
INPUTS = {"first": ("text", "text.txt"), "second": OUTPUTS["first"], "third": OUTPUTS["second"]}


@dataclass
class Yard:
    """A directory with the toy's code, and the settings its jobs run with."""

    path: Path
    settings: Settings
    times: int = 2
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        """Its own store, without the shared one."""
        return Store(self.path / self.settings.store)

    @property
    def keyring(self) -> Keyring:
        return Keyring(self.path / self.settings.key, tuple(map(Path, self.settings.trusted)))

    @property
    def records(self) -> Records:
        """The records of its own store that count."""
        return Records(self.store, self.keyring)

    def job(self, rule: str) -> Job:
        """One of the three."""
        inputs, outputs = ({name: [path]} for name, path in (INPUTS[rule], OUTPUTS[rule]))
        return Job(
            rule=rule,
            script=f"scripts/s/{rule}.py",
            wildcards={},
            params={"times": self.times} if rule == "first" else {},
            inputs={} if rule == "first" else inputs,
            sources=inputs if rule == "first" else {},
            outputs=outputs,
            expected="0" * 64,
            numeric="native",
            threads=1,
        )

    def command(self, rule: str) -> list[str]:
        """The command line that stemma/workflow/attach.py would render."""
        job = self.job(rule)
        options = ["--rule", rule, "--expected", job.expected, "--settings", self.settings.to_json(), "--threads", "1"]
        options += ["--params", json.dumps(job.params), "--log", f"results/logs/{rule}.log"]
        for kind, files in (("input", job.inputs), ("source", job.sources), ("output", job.outputs)):
            options += [word for name, (path,) in files.items() for word in (f"--{kind}", f"{name}={path}")]
        return [sys.executable, "-m", "stemma", "run", job.script, *options]

    def environment(self) -> dict[str, str]:
        """Whatever started the tests must not leak into the yard."""
        variables = {name: value for name, value in os.environ.items() if not name.startswith("STEMMA_")}
        return variables | {"PYTHONPATH": str(REPOSITORY)} | self.variables

    def start(self, rule: str) -> subprocess.Popen:
        """Start a job as a process of its own."""
        environment = self.environment() | {"STEMMA_ROOT": str(self.path)}
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(self.command(rule), cwd=self.path, env=environment, **streams)

    def run(self, rule: str) -> tuple[int, str]:
        """(exit status, standard error) of a job."""
        process = self.start(rule)
        _, error = process.communicate(timeout=120)
        return process.returncode, error

    def build(self) -> list[str]:
        """hit or run, of each of the three; they must succeed."""
        found = []
        for rule in RULES:
            status, error = self.run(rule)
            assert status == 0, error
            found.append(how_of(error))
        return found

    def fork(self, rule: str, before=lambda: None) -> int:
        """Run a job in a fork of this process, after `before()` in it; its wait status."""
        pid = os.fork()
        if pid:
            return os.waitpid(pid, 0)[1]
        try:
            os.chdir(self.path)
            os.dup2(os.open(self.path / "stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
            before()
            run_job(self.job(rule), self.settings, self.path, Path(f"results/logs/{rule}.log"))
            os._exit(0)
        except StemmaError as error:
            os.write(2, f"error: {error}\n".encode())
        finally:
            os._exit(1)

    def digests(self) -> dict[str, str]:
        """Every file of results/ but its bookkeeping, with its digest."""
        folder = self.path / "results"
        return {
            str(file.relative_to(folder)): digest.of_file(file)
            for file in digest.files_below(folder)
            if not {".store", ".records", ".aside", "logs"} & set(file.relative_to(folder).parts)
        }

    def recorded(self) -> dict[str, str]:
        """The same as the pointers say it: what should stand there."""
        with contextlib.chdir(self.path):
            pointers = {Path(path): artifact.read_pointer(Path(path)) for _, path in OUTPUTS.values()}
        return {
            str((path.parent / name).relative_to("results")): entry[0]
            for path, pointer in pointers.items()
            for name, entry in pointer.files.items()
        }

    def ask(self, name: str, *options: str) -> str:
        """What a command of the engine prints."""
        (self.path / "results/.records/settings.json").write_text(self.settings.to_json())
        done = subprocess.run(
            [sys.executable, "-m", "stemma", name, *options],
            cwd=self.path,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def make_yard(path: Path, **settings) -> Yard:
    """A fresh yard, nothing built."""
    planted(path)
    return Yard(path, Settings(**{"key": "key.pem"} | settings))


def filled_team(place: Path) -> tuple[Yard, Yard]:
    """Two checkouts with a store of their own each and one key; the first has filled the shared store."""
    (place / "shared").mkdir()
    key = str(place / "key.pem")
    one, two = (make_yard(place / name, shared=str(place / "shared"), key=key) for name in ("one", "two"))
    assert one.build() == ["run"] * 3
    return one, two


def how_of(error: str) -> str:
    """hit or run, from the line that a job ends with."""
    return error.splitlines()[-1].split()[-3]


def check_store(store: Store, keyring: Keyring) -> None:
    """Every object hashes to its name; every record opens, its signature is good, its objects are here, and so are the
    records of its parents."""
    for file in (store.path / "objects").glob("*/*"):
        assert digest.of_file(file) == file.parent.name + file.name
    envelopes = {digest.of_file(file): file for file in (store.path / "records").glob("*/*")}
    for file in envelopes.values():
        envelope = file.read_bytes()
        assert fault(envelope, keyring) is None, file
        record = shaped(envelope)
        for sha256 in objects_of(store, record):
            assert store.object_path(sha256).is_file(), (file, sha256)
        for item in record.inputs:
            assert item.is_source or item.record in envelopes


def check_pointers(yard: Yard) -> None:
    """What stands in results/ is what its records state."""
    with contextlib.chdir(yard.path):
        for _, path in OUTPUTS.values():
            pointer = artifact.verify(Path(path))
            assert digest.of_file(yard.store.record_path(pointer.action)) == pointer.record
