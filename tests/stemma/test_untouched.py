"""Nothing outside results/, the store and the caches is ever written, chmodded or deleted: what lies around a build is
looked at before and after all that one does with it."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stemma.conftest import REPOSITORY, Toy, planted
from tests.stemma.strays import STRAYS, link_to_folder, link_upwards, plant_outside, snapshot

OWN = ("project/results", "project/.snakemake", "keys")  # what a build may write: what it makes, and its signing key
MODES = {"notes.txt": 0o600, "run.sh": 0o755, "shared.txt": 0o666, "read-only.txt": 0o444}


class World(Toy):
    """A toy in the midst of a user's things: a home, a directory for temporary files with others' in it, a directory
    that links lead to, another checkout, files of the user's own in the repository."""

    def __init__(self, root: Path):
        super().__init__(root / "project")
        self.root = root
        planted(self.path)
        planted(root / "another")
        self.replace("Snakefile", 'key="key.pem"', f'key="{root}/keys/key.pem"')
        plant_outside(root)
        for folder in ("home", "home/.config", "home/.cache/torch", "tmp/somebody", "project/drafts", "project/crate"):
            (root / folder).mkdir(parents=True)
            for name, mode in MODES.items():
                (root / folder / name).write_text(f"{folder}/{name}")
                (root / folder / name).chmod(mode)
        for folder in OWN:  # so that what holds them does not change when they come
            (root / folder).mkdir()
        (root / "project/llm/precious").symlink_to(root / "precious")
        (root / "project/drafts/up").symlink_to("../..")

    @property
    def environment(self) -> dict[str, str]:
        places = {"HOME": self.root / "home", "TMPDIR": self.root / "tmp"}
        return (
            super().environment | {name: str(path) for name, path in places.items()} | {"PYTHONPATH": str(REPOSITORY)}
        )

    def ask(self, *arguments: str) -> subprocess.CompletedProcess:
        """A command of the engine."""
        command = [sys.executable, "-m", "stemma", *arguments]
        return subprocess.run(command, cwd=self.path, env=self.environment, capture_output=True, text=True, check=False)

    def look(self) -> dict[str, tuple]:
        """All that is not the build's. Of the directory for temporary files its own times are left out: files come
        and go in it."""
        found = snapshot(self.root, *OWN)
        del found["tmp"]
        return found

    @contextlib.contextmanager
    def untouched(self) -> Iterator[None]:
        before = self.look()
        yield
        after = self.look()
        assert before.keys() == after.keys()
        assert [name for name in before if before[name] != after[name]] == []


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def strew(world: World) -> None:
    """Things of the user's wherever the engine works, many of them leading out of results/."""
    for number, put in enumerate(STRAYS):
        put(world.path / f"results/parts/stray-{number}", world.root)
    for folder in ("results", "results/logs", "results/.store", "results/.store/scratch", "results/.store/tmp"):
        (world.path / folder).mkdir(exist_ok=True)
        for put in (link_to_folder, link_upwards):
            put(world.path / folder / f"a-{put.__name__}", world.root)


def test_builds_and_all_commands(world: World):
    """Every way to build, to take away and to ask, one after the other, with links strewn in between."""
    with world.untouched():
        assert [how for _, how in world.build()] == ["run"] * 3
    strew(world)
    with world.untouched():
        world.build("--config", "times=3")
    for command in (
        ["gc"], ["gc", "--budget", "0", "--scratch-days", "0"], ["verify", "--all"], ["du"], ["status"],
        ["why", "results/final.txt"], ["why", "results/final.txt", "--after", "times=5"],
        ["lineage", "results/final.txt"], ["used-by", "text.txt"], ["rebuild", "results/final.txt"],
        ["crate", "results/report", "Snakefile"],
    ):  # fmt: skip
        with world.untouched():
            done = world.ask(*command)
        assert done.returncode == 0, (command, done.stderr)
    with world.untouched():
        assert world.snakemake("--delete-all-output", "--config", "times=3").returncode == 0
    with world.untouched():
        assert world.build("--config", "times=3") == [(rule, "hit") for rule in ("first", "second", "third")]
    with world.untouched():
        assert world.ask("clean").returncode == 0
    with world.untouched():
        assert [how for _, how in world.build("--config", "times=3")] == ["hit"] * 3
    assert not any((world.root / "tmp").glob("stemma-*"))


SLOW = [pytest.param(f"results/{name}", marks=pytest.mark.slow) for name in ("logs", ".records", ".store")]


@pytest.mark.parametrize("path", ["results", "results/parts", *SLOW])
def test_a_directory_of_the_builds_that_is_a_link(world: World, path: str):
    """Whether it is built through or refused: what was there stays as it was."""
    world.build()
    shutil.rmtree(world.path / path)
    (world.path / path).symlink_to(world.root / "precious")
    before = snapshot(world.root / "precious")
    for arguments in (["--config", "times=3"], ["--delete-all-output"]):
        world.snakemake(*arguments)
    for command in ("clean", "gc"):
        world.ask(command)
    after = snapshot(world.root / "precious")
    assert [name for name in before if after.get(name) != before[name]] == []


@pytest.mark.slow
def test_a_build_that_is_killed(world: World):
    """At any moment: after a kill, too, nothing of the user's is another."""
    world.build()
    for delay in (0.5, 1.5, 2.5):
        world.replace("text.txt", "hello", "hello hello")
        with world.untouched():
            process = subprocess.Popen(
                world.command(),
                cwd=world.path,
                env=world.environment,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            time.sleep(delay)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            world.build()


def test_a_crate_in_a_directory_of_the_users(world: World):
    """The crate adds its own files to it; one of the user's that has its name is set aside or refused, never lost."""
    world.build()
    (world.path / "crate/workflow").mkdir()
    (world.path / "crate/workflow/mine.txt").write_text("mine")
    (world.path / "crate/workflow/away").symlink_to(world.root / "precious")
    before = world.look()
    done = world.ask("crate", "crate", "Snakefile")
    assert done.returncode == 0, done.stderr
    new = {name: state for name, state in world.look().items() if before.get(name) != state}
    assert set(new) <= {"project/crate", "project/crate/workflow", "project/crate/ro-crate-metadata.json",
                        "project/crate/workflow/Snakefile"}  # fmt: skip


def test_gc_takes_what_is_named_as_the_engine_names(world: World):
    """However old it is: what bears another name in the store's directories is somebody else's."""
    world.build()
    store = world.path / "results/.store"
    others = [
        store / folder / name
        for folder in ("scratch", "cache/numba", "tmp", "objects", "records", "objects/ab", "records/ab")
        for name in ("thesis", ".thesis", "thesis-1", "0" * 63, f"thesis-{os.getpid()}-x")
    ]
    for place in others:
        place.mkdir(parents=True)
        (place / "chapter").write_text("one")
        for path in (place / "chapter", place):
            os.utime(path, (0, 0))
    with world.untouched():
        done = world.ask("gc", "--budget", "0", "--scratch-days", "0")
    assert done.returncode == 0, done.stderr
    assert [place for place in others if not (place / "chapter").is_file()] == []
