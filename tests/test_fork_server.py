"""A fork of the loaded Snakemake and a new interpreter do the same."""

import os
import re
import sys
from pathlib import Path
from subprocess import DEVNULL, CompletedProcess, run

import pytest

from tests import fork_server

SNAKEFILE = """
import os, random, sys

rule all:
    output:
        "made.txt",
    shell:
        "pwd > {output}; echo $SAID >> {output}; python -c 'import sys; print(sys.path)' >> {output}"

print(os.getcwd(), sys.path[0], sys.stdin.read(), sys.stdout.isatty(), sorted(os.environ), sys.flags)
"""


def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[CompletedProcess, CompletedProcess]:
    """What a new interpreter and a fork say, each in a directory that was empty but for the workflow."""
    monkeypatch.setenv("SAID", "a 'b' $c")
    command = [sys.executable, "-m", "snakemake", *arguments, "--cores", "1", "--quiet", "rules", "host"]
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    new = run(command, cwd=tmp_path, capture_output=True, text=True, check=False, stdin=DEVNULL, env=dict(os.environ))
    made = (tmp_path / "made.txt").read_text() if (tmp_path / "made.txt").exists() else None
    (tmp_path / "made.txt").unlink(missing_ok=True)
    forked = fork_server.run(command, tmp_path)
    assert made == ((tmp_path / "made.txt").read_text() if (tmp_path / "made.txt").exists() else None)
    return new, forked


def without_times(text: str) -> str:
    return re.sub(r"(Workflow ID: .*)|\d+T\d+.\d+|\d+:\d\d:[\d.]+|\d\d:\d\d:\d\d|\[.*\]", "", text)


@pytest.mark.parametrize("target", ["made.txt", "nosuch"])
def test_the_same_is_done_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str):
    new, forked = both(tmp_path, monkeypatch, target)
    assert (new.returncode, new.stdout) == (forked.returncode, forked.stdout)
    assert without_times(new.stderr) == without_times(forked.stderr)
    assert (new.returncode == 0) is (target == "made.txt")
    assert str(tmp_path) in new.stdout


def test_another_home_is_met_by_a_new_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Libraries read it as they are loaded."""
    started: list[list[str]] = []
    command = [sys.executable, "-m", "snakemake", "--version"]
    assert fork_server.run(command, tmp_path).returncode == 0
    monkeypatch.setattr(fork_server.subprocess, "run", lambda command, **_: started.append(command))
    fork_server.run(command, tmp_path)
    assert started == []
    monkeypatch.setenv("HOME", str(tmp_path))
    fork_server.run(command, tmp_path)
    assert started == [command]
