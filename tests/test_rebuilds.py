"""benchmarks/rebuilds.py: its changes fit the code as it stands, its peers' replay gives what a run gives."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.rebuilds_changes import CHANGES, Change
from benchmarks.rebuilds_edits import upgraded
from benchmarks.rebuilds_workspace import Workspace
from stemma.base.settings import ROOT

SCRIPT = "from pathlib import Path\nimport sys\nPath('out').mkdir(exist_ok=True)\n"
SCRIPT += "Path('out/text').write_text(Path('in').read_text() + sys.argv[1])\nopen('ran', 'a').write('x')\n"
MARKS = {upgraded: pytest.mark.slow}  # it copies the environment


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Workspace:
    root = tmp_path_factory.mktemp("rebuilds")
    return Workspace.new(root / "fresh", root)


def test_names_are_told_apart():
    assert len({change.name for change in CHANGES}) == len(CHANGES) >= 40


@pytest.mark.parametrize(
    "change", [pytest.param(one, id=one.name, marks=MARKS.get(one.edit, ())) for one in CHANGES if not one.damage]
)
def test_a_change_can_be_made(fresh: Workspace, tmp_path: Path, change: Change):
    """It says what is missing where code has changed; and it changes something, unless it comes to what was there."""
    workspace = fresh.copy(tmp_path / "workspace")
    for edit in (change.first, change.edit, change.around, *(change.during or ())[1:]):
        if callable(edit):
            edit(workspace)
    edited = subprocess.run(
        ["diff", "-rq", fresh.root, workspace.root], stdout=subprocess.DEVNULL, check=False
    ).returncode
    times = [file.stat().st_mtime_ns for file in sorted((workspace.root / "llm").rglob("*.py"))]
    touched = times != [file.stat().st_mtime_ns for file in sorted((fresh.root / "llm").rglob("*.py"))]
    elsewhere = workspace.environment or workspace.python != sys.executable or change.during
    assert edited or touched or elsewhere or change.name in (".snakemake deleted", "a build that failed, then mended")


def test_a_script_is_replayed_for_equal_code_arguments_and_inputs(tmp_path: Path):
    """And for no others."""
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "in").write_text("a")

    def run(word: str, state: str = "0", kept: bool = True) -> str:
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        command = [sys.executable, ROOT / "benchmarks/rebuilds_replay.py", "--outputs", "out", "--inputs", "in", "--"]
        variables = {"REPLAY_KEPT": str(tmp_path / "kept"), "REPLAY_STATE": state} if kept else {}
        subprocess.run([*command, sys.executable, "script.py", word], cwd=tmp_path, env=variables, check=True)
        return (tmp_path / "out/text").read_text() + " " + (tmp_path / "ran").read_text()

    assert [run("b"), run("b"), run("c"), run("b", state="1")] == ["ab x", "ab x", "ac xx", "ab xxx"]
    assert [run("b"), run("b", kept=False)] == ["ab xxx", "ab xxxx"]
    (tmp_path / "in").write_text("d")
    assert run("b") == "db xxxxx"
