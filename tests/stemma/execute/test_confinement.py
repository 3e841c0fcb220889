"""What native code and other programs read and write must be declared, too: the kernel refuses it, where it can."""

import os
import subprocess
from pathlib import Path

import pytest

from stemma.base.settings import Settings
from stemma.execute import child, confinement, landlock
from stemma.execute.confinement import outside
from stemma.provenance.trust import shaped
from tests.stemma.yard import Yard, make_yard

kernel = pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
PERMITTED = """
    import subprocess, polars
    (parts / 'rows.csv').write_text('a,b\\n1,2\\n')
    assert polars.read_csv(parts / 'rows.csv').shape == (1, 2)
    assert subprocess.check_output(['cat', text], text=True) == text.read_text()
    inside = f'cd {parts}; mkdir x; mv rows.csv x; ln x/rows.csv y; ln -s y z; rm -r x z'
    subprocess.run(['sh', '-c', inside], check=True)
    import os, tempfile
    for folder in (os.environ['STEMMA_SCRATCH'], os.environ['STEMMA_LOGS'], os.environ['HOME'], tempfile.gettempdir()):
        subprocess.run(['touch', f'{folder}/mine'], check=True)
    subprocess.run(['sh', '-c', 'echo > /dev/null; cat /proc/self/status /etc/hostname'], check=True, stdout=-3)
"""


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> Path:
    """A yard that has built its first job, to be copied."""
    yard = make_yard(tmp_path_factory.mktemp("begun") / "yard")
    assert yard.run("first")[0] == 0
    return yard.path


@pytest.fixture
def yard(begun: Path, tmp_path: Path) -> Yard:
    """A copy of it; in it and beside it lies what nobody declared."""
    subprocess.run(["cp", "-a", begun, tmp_path], check=True)
    yard = Yard(tmp_path / "yard", Settings(key="key.pem"))
    for place in (yard.path / "llm", tmp_path, yard.path / "results/other"):
        place.mkdir(exist_ok=True)
        (place / "words.csv").write_text("a,b\n1,2\n")
    return yard


def insert(yard: Yard, text: str, rule: str = "second", before: str = "    joined.write") -> None:
    """Put lines before a script's work."""
    file = yard.path / f"scripts/s/{rule}.py"
    file.write_text(file.read_text().replace(before, text.strip("\n") + "\n" + before, 1))


def guard_of(yard: Yard) -> set[str]:
    """What kept the jobs to their inputs, as their records say."""
    return {shaped(file.read_bytes()).guard for file in (yard.store.path / "records").glob("*/*")}


def surroundings(path: Path) -> dict[str, tuple]:
    """All that stands in a tree, with what a change of it would change."""
    found = {}
    for folder, folders, names in os.walk(path):
        for name in folders + names:
            file = Path(folder, name)
            stat = file.lstat()
            found[str(file)] = (stat.st_mode, stat.st_size, stat.st_mtime_ns if name in names else 0)
    return found


@kernel
@pytest.mark.parametrize("place", ["llm", "..", "results/other"])
@pytest.mark.parametrize(
    "read",
    [
        "import polars; polars.read_csv(FILE)",
        "import duckdb; duckdb.sql(f\"select * from read_csv('{FILE}')\").fetchall()",
        "import subprocess; subprocess.run(['cat', FILE], check=True)",
    ],
    ids=["polars", "duckdb", "a child"],
)
def test_undeclared_file(yard: Yard, place: str, read: str):
    file = (yard.path / place / "words.csv").resolve()
    insert(yard, f"    FILE = '{file}'\n    {read}")
    status, error = yard.run("second")
    assert status == 2
    assert "second results/joined.txt: " in error
    assert not (yard.path / "results/joined.txt").exists()
    if "cat" not in read:
        assert "ermission denied" in error
        assert "a job may read what is declared, and write to its own places, alone" in error


@kernel
def test_undeclared_directory_is_not_listed(yard: Yard):
    insert(yard, f"    import subprocess\n    subprocess.run(['ls', '{yard.path}/llm'], check=True)")
    assert yard.run("second")[0] == 2
    assert "cannot open directory" in (yard.path / "results/logs/second.log").read_text()


@kernel
@pytest.mark.parametrize(
    "place",
    ["llm/words.csv", "../words.csv", "results/parts/a.txt", "results/.store/new", "{home}/.new", "/var/tmp/new"],
)
def test_nothing_is_written_elsewhere(yard: Yard, tmp_path: Path, place: str):
    (tmp_path / "home").mkdir()
    yard.variables["HOME"] = str(tmp_path / "home")
    file = (yard.path / place.format(home=tmp_path / "home")).resolve()
    insert(yard, f"    import subprocess\n    subprocess.run(['sh', '-c', 'echo > {file}'])")
    before, new = surroundings(tmp_path), not file.exists()
    status, error = yard.run("second")
    assert status == 0, error
    assert {name: found for name, found in surroundings(tmp_path).items() if name in before} == before
    assert file.exists() != new


def test_what_every_job_may_do(yard: Yard):
    yard.times = 3
    insert(yard, PERMITTED, "first", "    (parts / 'a.txt')")
    status, error = yard.run("first")
    assert status == 0, error
    version = landlock.version()
    assert guard_of(yard) == {f"audit hook, Landlock ABI {version}" if version else "audit hook"}


def test_what_is_not_used_outside_the_workspace_leaves_no_trace(yard: Yard):
    assert not (yard.path / "results/logs/first").exists()
    assert list((yard.store.path / "scratch").iterdir()) == []


def test_outputs_that_are_links_to_inputs(yard: Yard):
    """With leave they share their bytes; without it the kernel lets nothing be linked that may not be written."""
    insert(yard, "    import os\n    os.link((parts / 'a.txt').resolve(), x := joined.with_name('x'))\n    x.unlink()")
    assert yard.run("second")[0] == (2 if landlock.version() else 0)
    other = yard.path / "llm/other.py"
    other.write_text(f"LINKS = True\n{other.read_text()}")
    status, error = yard.run("second")
    assert status == 0, error


def test_without_landlock_the_guard_is_all_there_is(yard: Yard, monkeypatch: pytest.MonkeyPatch):
    insert(yard, f"    import subprocess\n    subprocess.run(['cat', '{yard.path}/llm/words.csv'], check=True)")
    monkeypatch.setattr(confinement, "version", lambda: 0)
    assert yard.fork("second") == 0
    assert "audit hook" in guard_of(yard)
    insert(yard, f"    open('{yard.path}/llm/words.csv')")
    assert yard.fork("second") != 0
    assert "opens llm/words.csv, which nobody declared" in (yard.path / "stderr").read_text()


def test_parts_of_a_tree_outside_zones(tmp_path: Path):
    for name in ("usr/bin", "usr/src/repository/.venv", "usr/src/other"):
        (tmp_path / name).mkdir(parents=True)
    zones = (tmp_path / "usr/src/repository", tmp_path / "usr/src/repository")
    assert outside(tmp_path / "usr", zones) == [tmp_path / "usr/bin", tmp_path / "usr/src/other"]
    assert outside(tmp_path / "usr/bin", zones) == [tmp_path / "usr/bin"]
    assert outside(tmp_path / "usr/src/repository/.venv", zones) == []


@kernel
def test_restricted_processes_stay_so(tmp_path: Path):
    """What a restricted process starts is restricted as well, whoever it runs as."""
    (tmp_path / "file").write_text("x")
    rules = landlock.Ruleset(reads=True)
    rules.allow(landlock.READ, map(Path, confinement.SYSTEM))
    command = ["sh", "-c", f"sh -c 'cat {tmp_path}/file'"]
    done = subprocess.run(command, preexec_fn=lambda: child.enter(rules), capture_output=True, text=True, check=False)
    rules.close()
    assert "Permission denied" in done.stderr
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "x"
