"""What scripts leave for outputs: their own regular files are kept, anything else is named and untouched."""

import os
import time
from pathlib import Path

import pytest

from stemma.execute import confinement, landlock
from tests.stemma.strays import plant_outside, snapshot
from tests.stemma.yard import Yard, make_yard

LEFT = {
    "a link to a file": ("(parts / 'note').symlink_to(PRECIOUS / 'thesis.txt')", "parts/0/note -> {outside}"),
    "a link to a directory": ("(parts / 'note').symlink_to(PRECIOUS)", "parts/0/note -> {outside}"),
    "a link within": ("(parts / 'note').symlink_to('a.txt')", "parts/0/note -> a.txt"),
    "a link to nothing": ("(parts / 'note').symlink_to('nowhere')", "parts/0/note -> nowhere"),
    "a link to itself": ("(parts / 'note').symlink_to('note')", "parts/0/note -> note"),
    "a link deeper": ("(parts / 'sub').mkdir(); (parts / 'sub/n').symlink_to('..')", "parts/0/sub/n -> .."),
    "a pipe": ("os.mkfifo(parts / 'note')", "parts/0/note is a pipe"),
    "a socket": ("os.chdir(parts); socket.socket(socket.AF_UNIX).bind('note')", "parts/0/note is a socket"),
    "a name that is not UTF-8": (
        "open(bytes(parts) + b'/caf\\xe9', 'w')",
        "parts/0/caf\\udce9 is not UTF-8; rename it",
    ),
    "a name of two lines": ("open(parts / 'a\\nb', 'w')", "has 'a\\nb', which has characters that cannot be printed"),
    "a link in place of the directory": (
        "shutil.rmtree(parts); parts.symlink_to(PRECIOUS)",
        "is reached through a link, ",
    ),
    "a link above it": (
        "shutil.rmtree(parts); parts.parent.rmdir(); parts.parent.symlink_to(PRECIOUS)",
        "is reached through a link, ",
    ),
    "a file in place of the directory": ("shutil.rmtree(parts); parts.write_text('x')", "is a file where a directory"),
    "nothing": ("shutil.rmtree(parts)", "wrote no results/parts/manifest.json"),
    "an empty directory": ("shutil.rmtree(parts); (parts / 'sub').mkdir(parents=True)", "left results/parts empty"),
}
if os.geteuid() == 0:
    LEFT["a device"] = ("os.mknod(parts / 'note', 0o20666, os.makedev(1, 5))", "parts/0/note is a device")


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return make_yard(tmp_path / "yard")


def leave(yard: Yard, rule: str, line: str) -> None:
    """Let a script do something more at its end. PRECIOUS: a user's directory."""
    script = yard.path / f"scripts/s/{rule}.py"
    text = script.read_text().replace("    return {", f"    {line}\n    return {{", 1)
    precious = f"PRECIOUS = Path({str(yard.path.parent / 'outside/precious')!r})"
    script.write_text(f"import os\nimport shutil\nimport socket\nfrom pathlib import Path\n{precious}\n{text}")


@pytest.mark.parametrize("what", LEFT)
def test_what_is_no_file_of_the_script_is_refused_by_name(yard: Yard, tmp_path: Path, what: str):
    line, said = LEFT[what]
    outside = plant_outside(tmp_path / "outside")
    (outside / "precious/0").mkdir()
    kept = snapshot(outside)
    leave(yard, "first", line)
    status, error = yard.run("first")
    assert (status, error.count("\n")) == (2, 1), error
    assert error.startswith("error: first results/parts: ")
    assert said.format(outside=outside) in error
    assert snapshot(outside) == kept
    assert not list((yard.store.path / "records").glob("*/*"))
    assert not (yard.path / "results/parts").exists()
    assert list((yard.store.path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("joined.unlink(); joined.symlink_to(PRECIOUS / 'thesis.txt')", "through a link, "),
        ("joined.unlink(); joined.mkdir()", "is a directory where a file belongs"),
        ("joined.unlink(); os.mkfifo(joined)", "is a pipe where a file belongs"),
        ("joined.unlink()", "wrote no results/joined.txt"),
    ],
)
def test_the_same_of_a_single_file(yard: Yard, tmp_path: Path, line: str, said: str):
    outside = plant_outside(tmp_path / "outside")
    kept = snapshot(outside)
    assert yard.run("first")[0] == 0
    leave(yard, "second", line)
    status, error = yard.run("second")
    assert (status, error.count("\n")) == (2, 1), error
    assert said in error
    assert snapshot(outside) == kept


def test_a_hard_link_to_a_source_is_kept_as_a_copy(yard: Yard):
    """The source stays the user's: writable, and what is written to it later does not reach the store."""
    leave(yard, "first", "os.link(text, parts / 'source.txt')")
    source = yard.path / "text.txt"
    if landlock.version():
        assert "Invalid cross-device link" in yard.run("first")[1]
    assert yard.fork("first", lambda: setattr(confinement, "version", lambda: 0)) == 0
    assert source.stat().st_mode & 0o200
    assert source.stat().st_nlink == 1
    assert not source.samefile(yard.path / "results/parts/source.txt")
    source.write_text("other\n")
    assert yard.run("second")[0] == 0
    assert (yard.path / "results/parts/source.txt").read_text() == "hello\n"


def test_what_a_script_leaves_running_writes_no_more(yard: Yard):
    """A process that holds an output open when the script has ended."""
    late = "'sleep 2; echo late'], stdout=(parts / 'a.txt').open('a'), stderr=subprocess.DEVNULL"
    late = f"import subprocess; subprocess.Popen(['sh', '-c', {late})"
    leave(yard, "first", late)
    status, error = yard.run("first")
    assert status == 0, error
    time.sleep(3)
    assert "late" not in (yard.path / "results/parts/a.txt").read_text()
    assert yard.run("second")[0] == 0
