"""Disks that are full or read-only: one clear line, nothing lost, and with room again the build completes."""

import contextlib
import os
import re
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from stemma.store.local import Store
from tests.stemma.conftest import ALL_RUN, Toy
from tests.stemma.workflow.test_staleness import cluster
from tests.stemma.yard import Yard, check_store, make_yard


@contextlib.contextmanager
def tmpfs(path: Path, size: str):
    """A small file system of its own at a path."""
    path.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", path], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def remount(path: Path, options: str) -> None:
    """The kernel lets go of a process's files a moment after its end: until then the mount is busy."""
    for _ in range(20):
        if (
            subprocess.run(["mount", "-o", f"remount,{options}", path], check=False, capture_output=True).returncode
            == 0
        ):
            return
        time.sleep(0.2)
    raise AssertionError(f"{path} stays busy")


@pytest.mark.thorough
def test_full_disk_under_the_store(tmp_path, half):
    """At every fill level the job succeeds or says in one line what to do; with room again it completes."""
    with tmpfs(tmp_path / "disk", "400k") as disk:
        yard = make_yard(tmp_path / "yard", store=str(disk / "store"))
        check = replace(yard.settings)
        outcomes = []
        for free in range(0, 184, 8):
            shutil.rmtree(disk / "store", ignore_errors=True)
            shutil.rmtree(yard.path / "results", ignore_errors=True)
            fill(disk, free)
            status, error = yard.run("first")
            outcomes.append(status)
            if status:
                assert status == 2
                assert len(error.splitlines()) == 1, error
                assert "no space left on the device" in error
            check_store(Store(Path(check.store)), yard.keyring)
            (disk / "filler").unlink()
            assert set(yard.build()) <= {"hit", "run"}
            assert yard.digests() == half.digests()
            check_store(Store(Path(check.store)), yard.keyring)
        assert outcomes[0] == 2
        assert outcomes[-1] == 0


def fill(disk: Path, free: int) -> None:
    """Write a file until only so many KiB are free."""
    with (disk / "filler").open("wb") as file, contextlib.suppress(OSError):
        while True:
            os.write(file.fileno(), bytes(4096))
    os.truncate(disk / "filler", max((disk / "filler").stat().st_size - free * 1024, 0))


def test_full_disk_under_results(tmp_path, half):
    """The store has room, the declared place has not: what was built is not lost, the next run is a hit."""
    with tmpfs(tmp_path / "yard/results", "300k") as results:
        yard = make_yard(tmp_path / "yard", store=str(tmp_path / "store"))
        fill(results, 20)
        status, error = yard.run("first")
        assert status == 2
        assert len(error.splitlines()) == 1, error
        assert "no space left on the device" in error
        check_store(Store(tmp_path / "store"), yard.keyring)
        (results / "filler").unlink()
        assert yard.build()[1:] == ["run", "run"]
        (results / "yard").unlink(missing_ok=True)
        assert yard.digests() == half.digests()


@pytest.mark.parametrize("submits", [False, True])
def test_full_home(toy: Toy, monkeypatch: pytest.MonkeyPatch, submits: bool):
    """Neither the engine, nor Snakemake here or on a node, nor a script keeps anything there."""
    toy.replace("scripts/s/first.py", "    (parts / 'a", "    import matplotlib.font_manager\n    (parts / 'a")
    with tmpfs(toy.path.with_name("home"), "100k") as home:
        fill(home, 0)
        monkeypatch.setenv("HOME", str(home))
        for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
            monkeypatch.delenv(name, raising=False)
        if submits:
            done, _ = cluster(toy)
            assert done.returncode == 0, done.stderr
        else:
            assert toy.build() == ALL_RUN
        assert [file.name for file in home.iterdir()] == ["filler"]


def test_full_disk_under_snakemakes_own_directory(toy: Toy, half):
    with tmpfs(toy.path / ".snakemake", "400k") as own:
        fill(own, 0)
        done = toy.snakemake()
        assert done.returncode != 0
        assert "No space left on device" in done.stderr + done.stdout
        (own / "filler").unlink()
        assert {rule for rule, _ in toy.build()} <= {"first", "second", "third"}
        yard = Yard(toy.path, half.settings)
        assert yard.digests() == half.digests()
        check_store(yard.store, yard.keyring)
        assert toy.build() == []


# KiB: for the build's beginning, less than one job, about one, about two
@pytest.mark.parametrize(
    "free", [4, pytest.param(12, marks=pytest.mark.thorough), 28, pytest.param(44, marks=pytest.mark.thorough)]
)
def test_full_disk_in_a_rebuild_is_taken_up_again(toy: Toy, free):
    """A stale job runs out of disk: it and what follows stay stale until there is room, whole as their files look. Its
    result may have come into the store before."""
    rules = ["first", "second", "third"]
    with tmpfs(toy.path / "results", "1m") as results:
        assert toy.build() == ALL_RUN
        toy.replace("llm/deep/low.py", "upper", "title")
        fill(results, free)
        done = toy.snakemake()
        assert done.returncode != 0
        [error] = [line for line in done.stderr.splitlines() if line.startswith("error:")]
        assert "no space left on the device" in error
        built = next((number for number, rule in enumerate(rules) if f"error: {rule} " in error), 0)
        assert not built or toy.read("results/parts/a.txt").startswith("Hello")
        (results / "filler").unlink()
        assert stale(toy) == [*rules[built:], "all"]
        (rule, _), *others = toy.build()
        assert [(rule, "run"), *others] == ALL_RUN[built:]
        assert toy.read("results/parts/a.txt").startswith("Hello")
        assert toy.build() == []


def stale(toy: Toy) -> list[str]:
    """The rules that a dry run would run, in its order."""
    done = toy.snakemake("--dry-run", "--quiet", "host")
    assert done.returncode == 0, done.stderr
    return re.findall(r"^rule (\w+):", done.stdout + done.stderr, re.MULTILINE)


def test_read_only_store(tmp_path, half):
    """It still serves what it holds; what it cannot take is refused in one line."""
    with tmpfs(tmp_path / "store", "2m") as store:
        yard = make_yard(tmp_path / "yard", store=str(store))
        assert yard.build() == ["run"] * 3
        remount(store, "ro")
        shutil.rmtree(yard.path / "results")
        assert yard.build() == ["hit"] * 3
        assert yard.digests() == half.digests()
        yard.times = 3
        status, error = yard.run("first")
        assert status == 2
        assert len(error.splitlines()) == 1, error
        assert "read-only file system; make it writable" in error
        check_store(Store(store), yard.keyring)
        remount(store, "rw")
        assert yard.build() == ["run"] * 3


@pytest.mark.parametrize("what", ["full", "read-only"])
def test_shared_store_that_takes_nothing(tmp_path, half, what):
    """One warning, and the build goes on; when it can take again the next hit publishes what is missing."""
    with tmpfs(tmp_path / "shared", "300k") as shared:
        yard = make_yard(tmp_path / "yard", shared=str(shared))
        fill(shared, 8) if what == "full" else remount(shared, "ro")
        status, error = yard.run("first")
        assert status == 0
        first, _ = error.splitlines()
        assert first.startswith(f"warning: the shared store {shared} cannot be used (")
        assert ("no space left" if what == "full" else "read-only file system") in first
        (shared / "filler").unlink() if what == "full" else remount(shared, "rw")
        assert yard.build() == ["hit", "run", "run"]
        assert yard.digests() == half.digests()
        check_store(yard.store, yard.keyring)
        check_store(Store(shared), yard.keyring)
        assert len(list((shared / "records").glob("*/*"))) == 3
