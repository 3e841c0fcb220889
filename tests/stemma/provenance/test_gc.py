"""gc takes what nobody uses, and nothing else: not beside running jobs, not from another directory, not by mistake."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemma.base.errors import StemmaError
from stemma.provenance import gc
from stemma.store.local import Store
from tests.stemma.execute.test_faults import copy_of
from tests.stemma.yard import RULES, Yard, check_pointers, check_store, make_yard

GB = 10**9


@pytest.fixture(scope="module")
def old(tmp_path_factory) -> Yard:
    """A yard that was built with times 1, 2, and now 3: the results of 1 and 2 are in use no more."""
    yard = make_yard(tmp_path_factory.mktemp("old"))
    for yard.times in (1, 2, 3):
        assert yard.build() == ["run"] * 3
        shift(yard.store, -100)
    return yard


@pytest.fixture
def yard(old, tmp_path) -> Yard:
    """A copy of it whose store it alone uses."""
    subprocess.run(["cp", "-a", f"{old.path}/.", tmp_path], check=True)
    shutil.rmtree(tmp_path / "results/.store/roots")
    return Yard(tmp_path, old.settings, old.times)


def shift(store: Store, seconds: float) -> None:
    """Let every record have been used so much later than it was."""
    for file in (store.path / "records").glob("*/*"):
        when = file.stat().st_mtime + seconds
        os.utime(file, (when, when))


def planned(yard: Yard, budget: int | None = None) -> gc.Plan:
    """gc's plan in the yard's directory, without a process of its own."""
    with contextlib.chdir(yard.path):
        return gc.plan(yard.store, budget)


def collected(yard: Yard, plan: gc.Plan) -> gc.Plan:
    """gc's work in the yard's directory."""
    with contextlib.chdir(yard.path):
        return gc.collect(yard.store, plan)


def count(yard: Yard) -> tuple[int, int]:
    """(records, objects) in its store."""
    return tuple(len(list((yard.store.path / kind).glob("*/*"))) for kind in ("records", "objects"))


def rebuilt(yard: Yard, times: int) -> list[str]:
    """hit or run of each job when it is built with other times."""
    yard.times = times
    return yard.build()


def test_unused_goes_used_stays(yard):
    before = yard.digests()
    said = yard.ask("gc")
    assert said.startswith("6 records and ")
    assert count(yard)[0] == 3
    check_store(yard.store, yard.keyring)
    check_pointers(yard)
    assert (yard.build(), yard.digests()) == (["hit"] * 3, before)
    assert rebuilt(yard, 2) == ["run"] * 3


def test_dry_run_names_all_and_removes_nothing(yard):
    before = count(yard)
    *records, would, stay = yard.ask("gc", "--dry-run").splitlines()
    assert [line.split()[-1] for line in records].count("results/final.txt") == 2
    assert len(records) == 6
    assert count(yard) == before
    went, stays = yard.ask("gc").splitlines()
    assert (went, stays) == (would.replace("would go", "went"), stay)


def test_budget_keeps_what_was_used_last(yard):
    assert count(yard)[0] == 9
    yard.ask("gc", "--budget", "1GB")
    assert count(yard)[0] == 9
    assert (rebuilt(yard, 1), rebuilt(yard, 3)) == (["hit"] * 3, ["hit"] * 3)  # a hit is a use
    plan = planned(yard)
    room = plan.bytes_of(plan.used_objects) + plan.bytes_of(plan.objects_going) // 2
    yard.ask("gc", "--budget", str(room))
    assert sum(map(len, [planned(yard).sizes])) == count(yard)[1]
    assert planned(yard, GB).bytes_of(planned(yard, GB).sizes) <= room
    assert rebuilt(yard, 1) == ["hit"] * 3
    assert rebuilt(yard, 2).count("run") >= 1


def test_another_directory_that_builds_with_the_store_keeps_its_own(yard, tmp_path_factory):
    other = make_yard(tmp_path_factory.mktemp("other"), store=str(yard.store.path), key=str(yard.path / "key.pem"))
    other.times = 2
    assert other.build() == ["hit"] * 3
    yard.ask("gc")
    assert count(yard)[0] == 6
    check_pointers(other)
    assert other.build() == ["hit"] * 3
    shutil.rmtree(other.path)
    yard.ask("gc")
    assert count(yard)[0] == 3


def test_what_a_running_job_may_need_stays(yard):
    with yard.store.workspace() as workspace:
        (workspace / "new").write_text("not yet in any record")
        sha256 = yard.store.add(workspace / "new")
        said = yard.ask("gc")
        assert "1 objects" in said.splitlines()[-1]
        assert yard.store.is_sound(sha256)
    yard.ask("gc")
    assert not yard.store.is_sound(sha256)


def test_what_comes_into_use_meanwhile_is_put_back(yard):
    plan = planned(yard)
    assert len(plan.records_going) == 6
    assert rebuilt(yard, 2) == ["hit"] * 3
    went = collected(yard, plan)
    assert len(went.records_going) == 3
    check_store(yard.store, yard.keyring)
    check_pointers(yard)


def test_beside_jobs(yard):
    """gc again and again while three jobs are built and built anew: no job fails, nothing of theirs is lost."""
    until = time.monotonic() + 8
    times = 0
    while time.monotonic() < until:
        yard.times = times = times % 4 + 1
        for rule in RULES:
            job = yard.start(rule)
            while job.poll() is None:
                collected(yard, planned(yard))
            assert job.returncode == 0, job.stderr.read()
            job.communicate()
        check_pointers(yard)
    collected(yard, planned(yard))
    check_store(yard.store, yard.keyring)
    assert yard.build() == ["hit"] * 3


def test_wrong_directory_is_refused(yard, tmp_path_factory):
    stray = make_yard(tmp_path_factory.mktemp("stray"), store=str(yard.store.path))
    before = count(yard)
    with pytest.raises(StemmaError, match="so all of it would go"):
        gc.collect(stray.store, planned(stray))
    assert count(yard) == before


def test_damaged_record_goes_and_what_cannot_be_parsed_breaks_nothing(yard):
    for number, file in enumerate(sorted((yard.store.path / "records").glob("*/*"))):
        if planned(yard).used.isdisjoint({file.parent.name + file.stem}):
            file.chmod(0o644)
            file.write_bytes(file.read_bytes()[: 10 * number])
    assert "not whole" in yard.ask("gc", "--dry-run")
    yard.ask("gc")
    assert count(yard)[0] == 3
    check_store(yard.store, yard.keyring)


def test_du_counts_what_gc_does(yard):
    found = json.loads(yard.ask("du", "--json"))
    assert (found["records"]["count"], found["objects"]["count"]) == count(yard)
    assert found["in_use"]["records"] == 3
    assert found["rules"]["first"]["records"] == 3
    files = (yard.store.path / "objects").glob("*/*")
    assert found["objects"]["bytes"] == sum(file.stat().st_size for file in files)
    assert "gc would free" in yard.ask("du")
    before = count(yard)
    yard.ask("gc")
    assert before[0] - count(yard)[0] == found["gc"]["records"]
    assert before[1] - count(yard)[1] == found["gc"]["objects"]
    assert json.loads(yard.ask("du", "--json"))["gc"] == {"records": 0, "objects": 0, "bytes": 0, "freed": 0}


def test_a_hard_linked_object_frees_nothing(yard):
    going = planned(yard)
    assert going.bytes_freed == going.bytes_of(going.objects_going)
    loose = max(going.objects_going, key=lambda sha256: going.sizes[sha256].bytes)
    (yard.path / "elsewhere").hardlink_to(yard.store.object_path(loose))
    linked = planned(yard)
    assert linked.bytes_freed == going.bytes_freed - going.sizes[loose].bytes


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_reach_is_the_transitive_closure(data):
    """Random families: what is kept holds every ancestor of what is used."""
    names = [f"{number:02}" for number in range(data.draw(st.integers(1, 12)))]
    parents = {name: data.draw(st.sets(st.sampled_from(names[:i]))) if i else set() for i, name in enumerate(names)}
    entries = {
        name: gc.Entry(name, f"e{name}", "r", name, 0.0, 0.0, (f"s{name}",), frozenset(), tuple(links))
        for name in names
        for links in [[(f"e{parent}", f"s{parent}") for parent in sorted(parents[name])]]
    }
    start = data.draw(st.sets(st.sampled_from(names)))
    expected = set(start)
    for name in reversed(names):
        expected |= parents[name] if name in expected else set()
    assert gc.Family(entries).reach(start) == expected
    lost = {name: replace(entry, sha256=f"new{name}") for name, entry in entries.items()}
    assert gc.Family(lost).reach(start) == expected  # found by what they made, where the records were replaced


def test_what_is_no_part_of_a_store_is_left_alone(tmp_path, half):
    """Whoever can write to a store may put anything there: it does not stop gc, and what is not the store's stays."""
    yard = copy_of(half, tmp_path / "yard", 2)
    store = yard.store.path
    (store / "objects/file").write_text("")
    (store / "records/ab").mkdir(exist_ok=True)
    (store / "records/ab/notes.json").write_text("[" * 100_000)
    (store / "records/ab" / f"{'c' * 62}.json").write_text("[" * 100_000)
    os.mkfifo(store / "records/ab" / f"{'d' * 62}.json")
    (store / "roots").mkdir()
    (store / "roots/circle").symlink_to("circle")
    yard.ask("gc")
    assert (store / "objects/file").exists() and (store / "records/ab/notes.json").exists()
    assert not (store / "records/ab" / f"{'c' * 62}.json").exists()
    assert yard.build() == ["hit"] * 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_pointers_that_may_not_be_read_stop_gc():
    """What is in use there would go."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        pointers, store = Path(directory, "results/.records"), Store(Path(directory, "store"))
        pointers.mkdir(parents=True, mode=0o700)
        (store.path / "roots").mkdir(parents=True)
        (store.path / "roots/one").symlink_to(pointers)
        pid = os.fork()
        if pid == 0:
            os.chdir(directory)
            os.setgid(54_001)
            os.setuid(54_001)
            try:
                gc.roots_of(store)
            except StemmaError as error:
                os._exit(7 if f"{pointers} cannot be read" in str(error) else 1)
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
