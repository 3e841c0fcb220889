"""Code and sources edited while a job runs: what is kept under a key is what that key tells of, at whatever stage.

Each test edits at one instant, takes the edit back when the job is over, as `git checkout` does, and builds again.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stemma.execute import run
from stemma.provenance.trust import shaped
from stemma.store import artifact
from tests.stemma.yard import Yard, check_pointers, check_store, how_of, make_yard

CODE, SOURCE = "llm/deep/low.py", "text.txt"
# When a source must not change any more.
REFUSED = {("resolve_inputs", "before"), ("resolve_inputs", "after"), ("of", "after"), ("run_script", "after")}
LATE = "def twice(text):\n    from llm.deep.low import shout\n\n    return shout(text) * 2\n"
WAITING = """
    import os, time
    logs = Path(os.environ["STEMMA_LOGS"])
    (logs / "ready").touch()
    while not (logs / "go").exists():
        time.sleep(0.02)
"""
# Before or after a step of the runner. The script itself runs within run_script.
STAGES = [
    (run, "closure_of", "before"),
    (run, "closure_of", "after"),
    (run, "resolve_inputs", "before"),
    (run, "resolve_inputs", "after"),
    (run.Sandbox, "of", "after"),
    (run, "run_script", "after"),
    (artifact, "absorb", "before"),
    (run, "publish", "before"),
]


def late(path: Path) -> Yard:
    """A yard whose first script imports a module in the midst of its work."""
    yard = make_yard(path)
    (path / "llm/middle.py").write_text(LATE)
    return yard


@pytest.fixture(scope="module")
def truth(tmp_path_factory) -> dict[str, dict]:
    """Action key -> digests of what it gives, of all that the edits here can lead to; from builds nobody disturbed."""
    found = {}
    for number, (code, source) in enumerate([("upper", "hello"), ("title", "hello"), ("upper", "olleh")]):
        yard = late(tmp_path_factory.mktemp(f"truth{number}"))
        write(yard.path / CODE, "upper", code)
        write(yard.path / SOURCE, "hello", source)
        assert yard.build() == ["run"] * 3
        found |= kept(yard)
    return found


def write(file: Path, old: str, new: str) -> None:
    """Replace a word."""
    file.write_text(file.read_text().replace(old, new))


def write_unseen(file: Path, old: str, new: str) -> None:
    """The same, with the time of the file as it was, and its size."""
    stat = file.stat()
    write(file, old, new)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def kept(yard: Yard) -> dict[str, dict]:
    """Action key -> digests of what the store has under it."""
    records = [shaped(file.read_bytes()) for file in (yard.store.path / "records").glob("*/*")]
    return {record.action: record.digests for record in records}


def check(yard: Yard, half: Yard, truth: dict[str, dict]) -> None:
    """After the edit was taken back: nothing false is in the store, and the next build ends as if nothing had been."""
    for key, outputs in kept(yard).items():
        assert outputs == truth[key]
    assert set(yard.build()) <= {"hit", "run"}
    assert yard.digests() == half.digests()
    check_store(yard.store, yard.keyring)
    check_pointers(yard)


@pytest.mark.parametrize(("place", "name", "when"), STAGES, ids=lambda value: getattr(value, "__name__", str(value)))
@pytest.mark.parametrize(("file", "old", "new"), [(CODE, "upper", "title"), (SOURCE, "hello", "olleh")])
def test_edited_at_every_stage_of_a_job(
    tmp_path: Path, half: Yard, truth: dict, file: str, old: str, new: str, place: object, name: str, when: str
):
    yard = late(tmp_path)

    def edit_at_stage() -> None:
        step = getattr(place, name)

        def edited(*arguments, **options):
            if when == "before":
                write(yard.path / file, old, new)
            result = step(*arguments, **options)
            if when == "after":
                write(yard.path / file, old, new)
            return result

        setattr(place, name, edited)

    status = os.waitstatus_to_exitcode(yard.fork("first", edit_at_stage))
    write(yard.path / file, new, old)
    assert (status != 0) == (file == SOURCE and (name, when) in REFUSED), (yard.path / "stderr").read_text()
    check(yard, half, truth)


def in_the_midst(yard: Yard, edit: Callable[[], None]) -> tuple[int, str]:
    """Run the first job and edit while its script works; its exit status and what it said."""
    file = yard.path / "scripts/s/first.py"
    file.write_text(file.read_text().replace("    (parts / 'a.txt')", WAITING + "    (parts / 'a.txt')", 1))
    logs = yard.path / "results/logs/first"
    process = yard.start("first")
    while not (logs / "ready").exists():
        time.sleep(0.02)
        assert process.poll() is None, process.communicate()
    edit()
    (logs / "go").touch()
    _, error = process.communicate(timeout=60)
    file.write_text(file.read_text().replace(WAITING, ""))
    return process.returncode, error


def test_module_that_is_imported_late_is_the_one_of_the_key(tmp_path: Path, half: Yard):
    yard = late(tmp_path)
    status, error = in_the_midst(yard, lambda: write(yard.path / CODE, "upper", "title"))
    assert status == 0, error
    write(yard.path / CODE, "title", "upper")
    assert (yard.path / "results/parts/a.txt").read_text() == (half.path / "results/parts/a.txt").read_text()


def test_docstrings_are_no_data(tmp_path: Path):
    """No key holds them, so no script sees them: not its own, a module's or a function's."""
    yard = make_yard(tmp_path)
    script = yard.path / "scripts/s/first.py"
    told = "str([main.__doc__, low.__doc__, low.shout.__doc__])"
    script.write_text(
        "from llm.deep import low\n"
        + script.read_text()
        .replace("twice(text.read_text()) * times", told)
        .replace("int) -> dict:\n", 'int) -> dict:\n    """It."""\n')
    )
    assert yard.run("first")[0] == 0
    assert (yard.path / "results/parts/a.txt").read_text() == "[None, None, None]"
    write(yard.path / CODE, "Louder.", "Much louder.")
    assert how_of(yard.run("first")[1]) == "hit"


def replace_by_rename(file: Path) -> None:
    other = file.with_name("other")
    other.write_text("olleh\n")
    other.replace(file)


def edit(file: Path) -> None:
    write(file, "hello", "olleh")


def edit_unseen(file: Path) -> None:
    write_unseen(file, "hello", "olleh")


def edit_and_back(file: Path) -> None:
    edit(file)
    write(file, "olleh", "hello")


@pytest.mark.parametrize("how", [edit, edit_unseen, edit_and_back, replace_by_rename, Path.unlink])
def test_source_that_changes_while_it_is_read(tmp_path: Path, how: Callable[[Path], None]):
    yard = late(tmp_path)
    status, error = in_the_midst(yard, lambda: how(yard.path / SOURCE))
    assert status == 2
    assert error.splitlines()[-1].endswith(
        "text.txt was changed while first read it, so the result is dropped; run again"
    )
    assert kept(yard) == {}
    assert not (yard.path / "results/parts").exists()


def test_touching_links_and_modes_of_a_source_change_nothing(tmp_path: Path):
    yard = late(tmp_path)

    def harmless() -> None:
        (yard.path / "link").hardlink_to(yard.path / SOURCE)
        (yard.path / SOURCE).chmod(0o600)

    status, error = in_the_midst(yard, harmless)
    assert status == 0, error


@pytest.mark.parametrize("what", ["results/parts/a.txt", "results/parts/manifest.json"])
def test_artifact_that_changes_while_it_is_read(tmp_path: Path, what: str):
    yard = make_yard(tmp_path)
    assert yard.run("first")[0] == 0

    def edit_after_hashing() -> None:
        step = run.resolve_inputs

        def edited(*arguments):
            found = step(*arguments)
            file = yard.path / what
            data = file.read_bytes()
            file.unlink()
            file.write_bytes(data.replace(b"H", b"J"))
            return found

        run.resolve_inputs = edited

    assert yard.fork("second", edit_after_hashing) != 0
    assert f"{what} was changed while second read it" in (yard.path / "stderr").read_text()
    assert len(kept(yard)) == 1
