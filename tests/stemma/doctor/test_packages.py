"""What is said of packages: missing, of another version, edited; and the command as a whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stemma.doctor import packages
from tests.stemma.code.test_installed_files import MODULE, install_whole
from tests.stemma.conftest import REPOSITORY


def house_with(tmp_path: Path, old: str, new: str) -> Path:
    """Another checkout, whose lock differs in a line."""
    (tmp_path / "envs").mkdir()
    text = (REPOSITORY / packages.LOCK).read_text()
    assert old in text
    (tmp_path / packages.LOCK).write_text(text.replace(old, new))
    (tmp_path / packages.NAMED).write_text((REPOSITORY / packages.NAMED).read_text())
    return tmp_path


def test_this_environment_is_as_its_lock_says():
    [found] = packages.versions()
    assert found.level == "fine"
    assert packages.is_same("2.13.0+cpu", "2.13.0") and not packages.is_same("2.13.1", "2.13.0")
    assert packages.pinned(REPOSITORY)["torch"] == "2.13.0"


@pytest.mark.parametrize(
    ("old", "new", "level", "said"),
    [
        ("packaging==25.0", "packaging==99.1", "note", "packaging 25.0 (not 99.1); what loads them is built anew"),
        ("packaging==25.0", "no-such-package==1.0", "stop", "no-such-package; `make setup` installs"),
    ],
)
def test_packages_beside_the_lock(tmp_path: Path, old: str, new: str, level: str, said: str):
    [found] = packages.versions(house_with(tmp_path, old, new))
    assert found.level == level and said in found.text


def test_without_a_lock_nothing_is_compared(tmp_path: Path):
    [found] = packages.versions(tmp_path)
    assert found.level == "note" and "is not there" in found.text


def test_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert list(packages.programs()) == []
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [(found.level, found.topic) for found in packages.programs()] == [("note", "git"), ("stop", "bash")]


def doctor(directory: Path, *options: str) -> subprocess.CompletedProcess:
    """The command, in a directory; on its path are this repository and the packages in the directory."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STEMMA_")}
    environment["PYTHONPATH"] = str(REPOSITORY)
    command = [sys.executable, "-m", "stemma", "doctor", *options]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


def test_the_command_tells_all_and_its_exit_status_says_whether_a_build_would_stop(tmp_path: Path):
    install_whole(tmp_path, "inner", {MODULE: "ONE = 1\n"})
    (tmp_path / MODULE).write_text("ONE = 2\n")
    done = doctor(tmp_path)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    topics = ("processor", "memory", "system", "Landlock", "user namespaces", "GPU", "Slurm", "disk", "permissions",
              "signing key", "packages")  # fmt: skip
    assert all(any(line[6:].startswith(topic) for line in lines) for topic in topics)
    edited = f"note  packages         inner 1.0: {MODULE} was changed since it was installed; no key sees that"
    assert any(line.startswith(edited) and "pip install --force-reinstall" in line for line in lines)
    (tmp_path / "results").write_text("")
    done = doctor(tmp_path, "--json")
    assert done.returncode == 1
    stops = [found for found in json.loads(done.stdout) if found["level"] == "stop"]
    assert stops and {found["topic"] for found in stops} == {"permissions"}


def test_settings_that_cannot_be_read_are_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from stemma.doctor.examine import examine

    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/.records").mkdir(parents=True)
    (tmp_path / "results/.records/settings.json").write_text('{"store": 1}')
    first = next(examine())
    assert (first.level, first.topic) == ("stop", "settings") and "run snakemake here again" in first.text
