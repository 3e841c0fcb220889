"""Faults, really injected: after each the store is valid, and the next run gives what a never disturbed one gives."""

import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from stemma.store.local import Store
from tests.stemma.conftest import ALL_RUN, Toy, jobs
from tests.stemma.yard import RULES, Yard, check_pointers, check_store, how_of, make_yard

STEPS = ("replace", "rename", "link", "unlink", "chmod", "fchmod", "mkdir", "rmdir", "fsync", "utime", "symlink")
CODE = re.compile(r"/\.code/|\.pyc?$|__pycache__$")  # of the job's own copy of its code: one step is like another
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
    for name in ("replace", "rename", "link", "unlink", "chmod", "fchmod", "fsync"):
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


def lengthen(yard: Yard, more: str = "pass") -> None:
    """Let the first script take so long that two of them overlap."""
    script = yard.path / "scripts/s/first.py"
    text = script.read_text().replace("return {", f"time.sleep(1.5)\n    {more}\n    return {{", 1)
    script.write_text(f"import os\nimport time\n{text}")


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
            if CODE.search(str(arguments[0])):
                return function(*arguments, **options)
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


@pytest.mark.parametrize("kind", [pytest.param("run", marks=pytest.mark.thorough), "hit"])
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
