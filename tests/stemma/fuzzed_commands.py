"""Every command of the engine in a copy of a built directory in which something is other than it was put there.

What is changed: bytes or JSON nodes of a file of results/ or of the store, a thing of another kind in its place, or a
manifest or record that a trusted key has signed all the same. A command must end well or with one line that says what
is wrong; a traceback, a hang, a lost file of the user's or a changed one outside is a fault. tests/stemma/fuzz.py draws
the examples.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import traceback
from dataclasses import replace
from pathlib import Path

from hypothesis import strategies as st

from stemma.__main__ import main
from stemma.base import digest
from stemma.base.errors import StemmaError, printable_lines
from stemma.base.settings import Settings
from stemma.commands import run
from stemma.provenance.dsse import opened, seal
from stemma.provenance.trust import Records
from stemma.store import artifact
from tests.stemma.conftest import REPOSITORY, Toy
from tests.stemma.hostile import POSTER
from tests.stemma.strays import STRAYS, plant_outside, snapshot
from tests.stemma.yard import OUTPUTS, Yard

ARTIFACTS = {Path(path).parts[1] for _, path in OUTPUTS.values()}
PATIENCE = 120  # seconds; a command that takes longer hangs
READY = ("report poster.yaml results/report/index.html", "crate results/report Snakefile", "verify", "used-by text.txt")
ASKING = """
show results/parts
show results/joined.txt
verify
verify --all --json
verify results/final.txt
why results/final.txt
why results/parts --json
lineage results/final.txt --all
lineage results/parts/a.txt --dot
used-by text.txt
used-by llm/other.py --all --json
status --lines 3
status --json
du
du --json --shared
gc --dry-run
summary
summary --poster poster.yaml --target results/parts --hint go
closure scripts/s/first.py
"""
WRITING = """
gc
gc --budget 1kB --scratch-days 0
clean
keys results/report
sign results/parts/manifest.json
report poster.yaml results/report/index.html
crate results/report Snakefile
run first
run second
run third
"""
BUILDING = """
snakemake -n
snakemake
snakemake --delete-all-output
rebuild results/final.txt
"""


class Site:
    """A built directory with a report and a crate, of which each example gets a copy beside a user's files."""

    def __init__(self, built: Path, around: Path):
        self.whole, self.around = around / "whole", around
        self.outside = plant_outside(around / "outside")
        (around / "linked.txt").hardlink_to(self.outside / "precious/linked.txt")  # so that it always has two names
        self.before = snapshot(self.outside)
        copy_tree(built, self.whole)
        (self.whole / "poster.yaml").write_text(POSTER)
        for words in READY:
            status, said = ended(self.whole, words.split())
            assert status == 0, said
        found = [file.relative_to(self.whole) for file in digest.files_below(self.whole / "results")]
        groups = {
            "pointers": lambda file: file.is_relative_to("results/.records"),
            "records": lambda file: file.is_relative_to("results/.store/records"),
            "objects": lambda file: file.is_relative_to("results/.store/objects"),
            "views": lambda file: file.is_relative_to("results/report"),
            "artifacts": lambda file: not file.is_relative_to("results/.store") and file.parts[1] in ARTIFACTS,
        }
        self.files = {name: sorted(filter(belongs, found)) for name, belongs in groups.items()}
        self.files["key"] = [Path("key.pem")]
        assert all(self.files.values())

    def command(self, data: st.DataObject, change, commands: str) -> None:
        """Do one command after one to three changes; `change` draws other bytes in the place of some."""
        place = self.around / "copy"
        shutil.rmtree(place, ignore_errors=True)
        copy_tree(self.whole, place)
        for _ in range(data.draw(st.integers(1, 3))):
            self.spoil(data, place, change)
        words = data.draw(st.sampled_from(commands.strip().split("\n"))).split()
        mine = standing(place) - standing(self.whole)  # not put there by the engine
        status, said = ended(place, words)
        assert status in (0, 1, 2), (words, status, said)
        assert "Traceback" not in said, (words, said)
        assert status != 2 or said.splitlines()[-1].startswith("error: "), (words, said)
        assert said == printable_lines(said), (words, said)
        assert mine <= digests(place / "results"), ("lost", words, said)
        assert snapshot(self.outside) == self.before, ("outside", words, said)

    def spoil(self, data: st.DataObject, place: Path, change) -> None:
        """Make one change."""
        how = data.draw(st.sampled_from(["bytes", "bytes", "bytes", "stray", "gone", "signed", "signed"]))
        if how == "signed":
            with contextlib.chdir(place), contextlib.suppress(StemmaError, OSError):  # of what was changed before
                sign_other(data, change)
            return
        file = place / data.draw(st.sampled_from(self.files[data.draw(st.sampled_from(sorted(self.files)))]))
        if not file.is_file() or file.is_symlink():
            return
        whole = file.read_bytes()
        file.unlink()
        if how == "bytes":
            file.write_bytes(data.draw(change(whole)))
        elif how == "stray":
            data.draw(st.sampled_from(STRAYS))(file, self.outside)


def sign_other(data: st.DataObject, change) -> None:
    """Put a changed manifest, or a changed record, in the place of one with everything that stands for it: object,
    record, pointer, all as the user's own key signs them."""
    path = Path(data.draw(st.sampled_from([path for _, path in OUTPUTS.values()])))
    pointer, records = artifact.read_pointer(path), Records.of(Settings.here())
    envelope = records.store.own_envelope(pointer.action) if pointer else None
    statement = opened(envelope) if envelope else None
    if pointer is None or statement is None:
        return
    text = digest.canonical(statement)
    if artifact.is_directory(path) and path.is_file() and data.draw(st.booleans()):
        other = data.draw(change(path.read_bytes()))
        path.unlink()
        path.write_bytes(other)
        sha256 = records.store.add_bytes(other)
        text = text.replace(pointer.sha256.encode(), sha256.encode())
        pointer = replace(pointer, sha256=sha256)
    else:
        text = data.draw(change(text))
    envelope = seal(text, records.keyring)
    records.store.write_record(pointer.action, envelope)
    artifact.write_pointer(path, replace(pointer, record=digest.of_bytes(envelope)))


def ended(place: Path, words: list[str]) -> tuple[int, str]:
    """Exit status of a command in a directory, and what it says. It runs in a fork of this process, which has loaded
    the engine."""
    if words[0] == "snakemake":
        done = Toy(place).snakemake(*words[1:])
        return done.returncode, done.stdout + done.stderr
    said = place.parent / "said"
    said.unlink(missing_ok=True)
    pid = os.fork()
    if not pid:
        answer(place, words, said)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status, said.read_text(errors="replace")


def answer(place: Path, words: list[str], said: Path) -> None:
    """Be the process of a command, to its end."""
    status = 70
    try:
        signal.alarm(PATIENCE)
        os.chdir(place)
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        for stream in (1, 2):
            os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        for name in [name for name in os.environ if name.startswith("STEMMA_")]:
            del os.environ[name]
        os.environ["PYTHONPATH"] = str(REPOSITORY)
        if words[0] == "run":
            run.ROOT = place
            yard = Yard(place, Settings(key="key.pem"))
            words = yard.command(words[1])[3:]
        status = main(words)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def copy_tree(source: Path, target: Path) -> None:
    """Copy a directory with its hard links and times."""
    target.mkdir()
    subprocess.run(["cp", "-a", f"{source}/.", target], check=True)


def standing(place: Path) -> set[str]:
    """Digests of all that stands where artifacts do."""
    return set().union(*(digests(place / "results" / name) for name in ARTIFACTS))


def digests(place: Path) -> set[str]:
    """Digests of the regular files at or below a path."""
    inside = place.is_dir() and not place.is_symlink()
    files = digest.files_below(place) if inside else [place]
    return {digest.of_file(file) for file in files if file.is_file() and not file.is_symlink()}
