"""Faults, really injected: after each the store is valid, and the next run gives what a never disturbed one gives."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from stemma.store import Store
from tests.stemma.conftest import ALL_RUN, Toy, jobs
from tests.stemma.yard import RULES, Yard, check_pointers, check_store, how_of, make_yard

STEPS = ("replace", "link", "unlink", "chmod", "mkdir", "rmdir", "fsync", "utime", "symlink")  # of the module os
SABOTAGE = """
import os, signal, sys
if "stemma" in sys.orig_argv and "second" in sys.orig_argv and os.path.exists("kill-at"):
    left = [int(open("kill-at").read())]
    def count(function):
        def counted(*arguments, **options):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)
        return counted
    for name in ("replace", "link", "unlink", "chmod", "fsync"):
        setattr(os, name, count(getattr(os, name)))
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Yard:
    """A yard that was built twice and never disturbed: with times 2, then 3."""
    yard = make_yard(tmp_path_factory.mktemp("whole"))
    assert yard.build() == ["run"] * 3
    yard.times = 3
    assert yard.build() == ["run"] * 3
    return yard


@pytest.fixture(scope="module")
def half(tmp_path_factory) -> Yard:
    """A yard that was built with times 2 only."""
    yard = make_yard(tmp_path_factory.mktemp("half"))
    assert yard.build() == ["run"] * 3
    return yard


def lengthen(yard: Yard, more: str = "pass") -> None:
    """Let the first script take so long that two of them overlap."""
    script = yard.path / "scripts/s/first.py"
    text = script.read_text().replace("return {", f"time.sleep(1.5)\n    {more}\n    return {{", 1)
    script.write_text(f"import os\nimport time\n{text}")


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
    subprocess.run(["mount", "-o", f"remount,{options}", path], check=True)


def copy_of(yard: Yard, path: Path, times: int) -> Yard:
    """Another yard in the same state, hard links included."""
    subprocess.run(["cp", "-a", yard.path, path], check=True)
    shutil.rmtree(path / "results/.store/roots")  # the copied store is used by the copy alone
    return Yard(path, yard.settings, times)


def sabotage(kill_at: int, log: Path | None = None) -> None:
    """Let this process kill itself before the given step; without one only count the steps."""
    done = 0

    def counted(name, function):
        def call(*arguments, **options):
            nonlocal done
            if done == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            done += 1
            if log:
                with log.open("a") as file:
                    file.write(f"{name} {arguments[0]}\n")
            return function(*arguments, **options)

        return call

    for name in STEPS:
        setattr(os, name, counted(name, getattr(os, name)))


@pytest.mark.parametrize("kind", ["run", "hit"])
def test_killed_at_every_step_of_a_job(whole, half, tmp_path, kind):
    """SIGKILL before each thing the runner does to the file system, from its first to after its last, while it replaces
    an earlier result: by a new one (run), or by one that the store holds (hit)."""
    start, times = (half, 3) if kind == "run" else (whole, 2)
    expected = whole.digests() if kind == "run" else half.digests()
    log = tmp_path / "steps"
    assert copy_of(start, tmp_path / "count", times).fork("first", lambda: sabotage(-1, log)) == 0
    steps = log.read_text().splitlines()
    assert len(steps) > (15 if kind == "run" else 6), steps
    for step in range(len(steps) + 1):
        yard = copy_of(start, tmp_path / f"step{step}", times)
        status = yard.fork("first", lambda step=step: sabotage(step))
        assert os.WIFSIGNALED(status) == (step < len(steps)), (step, steps[step:])
        check_store(yard.store, yard.keyring)
        assert [os.waitstatus_to_exitcode(yard.fork(rule)) for rule in RULES] == [0, 0, 0]
        assert yard.digests() == expected, steps[step:]
        check_store(yard.store, yard.keyring)
        check_pointers(yard)
        assert list((yard.store.path / "tmp").iterdir()) == []
        shutil.rmtree(yard.path)


def test_killed_under_snakemake(toy: Toy, half):
    """The same with the real Snakemake, at some of the steps: the next call completes, and nothing is left over."""
    (toy.path / "sitecustomize.py").write_text(SABOTAGE)
    for step in (0, 8):
        (toy.path / "kill-at").write_text(str(step))
        done = toy.snakemake()
        assert done.returncode != 0
        assert "second" not in [rule for rule, _ in jobs(done)]
        (toy.path / "kill-at").unlink()
        assert [rule for rule, _ in toy.build()] == ["first", "second", "third"][-2 if step == 0 else -2 :]
        yard = Yard(toy.path, half.settings)
        assert yard.digests() == half.digests()
        check_store(yard.store, yard.keyring)
        assert toy.build() == []
        shutil.rmtree(toy.path / "results/.store")
        shutil.rmtree(toy.path / "results")
        shutil.rmtree(toy.path / ".snakemake")
        assert toy.build("results/parts/manifest.json") == ALL_RUN[:1]


def test_two_processes_race_for_one_key(tmp_path, half):
    """Two directories, one store, no result yet: both run, one record stays, and both are told of that one."""
    settings = replace(half.settings, store=str(tmp_path / "store"), key=str(tmp_path / "key.pem"))
    yards = [make_yard(tmp_path / name) for name in ("one", "two")]
    for yard in yards:
        yard.settings = settings
        lengthen(yard)
    for rule in RULES:
        processes = [yard.start(rule) for yard in yards]
        errors = [process.communicate()[1] for process in processes]
        assert [process.returncode for process in processes] == [0, 0], errors
        if rule == "first":
            assert [how_of(error) for error in errors] == ["run", "run"]
    for yard in yards:
        assert yard.digests() == half.digests()
        check_pointers(yard)
    check_store(Store(tmp_path / "store"), yards[0].keyring)
    assert len(list((tmp_path / "store/records").glob("*/*"))) == 3


def test_racers_with_different_bytes_agree(tmp_path, half):
    """A script that is not deterministic: whoever wrote the record first has made the result for both."""
    yards = [make_yard(tmp_path / name) for name in ("one", "two")]
    for yard in yards:
        yard.settings = replace(half.settings, store=str(tmp_path / "store"), key=str(tmp_path / "key.pem"))
        lengthen(yard, "(parts / 'c').write_text(str(os.getpid()))")
    processes = [yard.start("first") for yard in yards]
    assert [how_of(process.communicate()[1]) for process in processes] == ["run", "run"]
    assert [process.returncode for process in processes] == [0, 0]
    assert yards[0].digests() == yards[1].digests()
    check_store(Store(tmp_path / "store"), yards[0].keyring)


def test_full_disk_under_the_store(tmp_path, half):
    """At every fill level the job succeeds or says in one line what to do; with room again it completes."""
    with tmpfs(tmp_path / "disk", "300k") as disk:
        yard = make_yard(tmp_path / "yard", store=str(disk / "store"))
        check = replace(yard.settings)
        outcomes = []
        for free in range(0, 120, 8):
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


@pytest.mark.parametrize("free", [4, 12, 28])  # KiB: for the build's beginning, about one job, about two
def test_full_disk_in_a_rebuild_is_taken_up_again(toy: Toy, free):
    """A stale job runs out of disk: it and what follows stay stale until there is room, whole as their files look."""
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
        assert toy.read("results/parts/a.txt").startswith("Hello" if built else "HELLO")
        (results / "filler").unlink()
        assert stale(toy) == [*rules[built:], "all"]
        assert toy.build() == ALL_RUN[built:]
        assert toy.read("results/parts/a.txt").startswith("Hello")
        assert toy.build() == []


def stale(toy: Toy) -> list[str]:
    """The rules that a dry run would run, in its order."""
    done = toy.snakemake("--dry-run", "--quiet", "host")
    assert done.returncode == 0, done.stderr
    return re.findall(r"^rule (\w+):", done.stdout + done.stderr, re.MULTILINE)


def test_flipped_bit_in_every_object(half, tmp_path):
    """Found before use, never served; what made it runs again and puts it right."""
    for number, file in enumerate(sorted((half.store.path / "objects").glob("*/*"))):
        yard = copy_of(half, tmp_path / str(number), 2)
        shutil.rmtree(yard.path / "results/parts")
        for name in ("joined.txt", "final.txt"):
            (yard.path / "results" / name).unlink()
        target = yard.store.path / file.relative_to(half.store.path)
        data = bytearray(target.read_bytes())
        data[-1] ^= 64
        target.chmod(0o644)
        target.write_bytes(data)
        hows = yard.build()
        is_output = file.parent.name + file.name in half.digests().values()
        assert ("run" in hows) == is_output
        assert yard.digests() == half.digests()
        check_store(yard.store, yard.keyring)
        check_pointers(yard)


def test_truncated_record(half, tmp_path):
    for number, file in enumerate(sorted((half.store.path / "records").glob("*/*"))):
        for length in (0, 100, file.stat().st_size - 1):
            yard = copy_of(half, tmp_path / f"{number}-{length}", 2)
            target = yard.store.path / file.relative_to(half.store.path)
            target.chmod(0o644)
            os.truncate(target, length)
            assert sorted(yard.build()).count("run") >= 1
            assert yard.digests() == half.digests()
            check_store(yard.store, yard.keyring)
            check_pointers(yard)


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


@pytest.mark.parametrize("moment", [0, 1e9, 4e9])
def test_clock_set_back_or_forward(half, tmp_path, moment):
    """Times of files decide nothing, in whatever order they are."""
    yard = copy_of(half, tmp_path / "yard", 2)
    for number, file in enumerate(sorted(yard.path.rglob("*"))):
        os.utime(file, (moment + number % 7, moment + number % 7), follow_symlinks=False)
    assert yard.build() == ["hit"] * 3
    yard.times = 3
    assert [yard.fork(rule, lambda: set_clock(moment)) for rule in RULES] == [0, 0, 0]
    check_store(yard.store, yard.keyring)
    check_pointers(yard)
    after = yard.digests()
    yard.ask("gc", "--budget", "1GB")
    yard.ask("gc")
    assert yard.build() == ["hit"] * 3
    yard.times = 2
    assert yard.build() == ["run"] * 3
    assert yard.digests() == half.digests() != after
    check_store(yard.store, yard.keyring)


def set_clock(moment: float) -> None:
    """Let this process believe that it is another time."""
    real = time.gmtime
    time.time = lambda: moment
    time.time_ns = lambda: int(moment * 1e9)
    time.gmtime = lambda seconds=None: real(moment if seconds is None else seconds)
