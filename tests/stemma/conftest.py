"""A toy workflow in a directory of its own, run by the real Snakemake through the real engine."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import fork_server

REPOSITORY = Path(__file__).resolve().parents[2]
LINE = re.compile(r"^(\S+) +(\S+) +(\S+)(?: \+\d+)? +(hit|run) ", re.MULTILINE)

FILES = {
    "llm/__init__.py": "",
    "llm/deep/__init__.py": "",
    "llm/deep/low.py": '"""Lowest."""\n\n\ndef shout(text):\n    """Louder."""\n    return text.upper()\n',
    "llm/middle.py": "from llm.deep.low import shout\n\n\ndef twice(text):\n    return shout(text) * 2\n",
    "llm/other.py": "MARK = '!'\n",
    "scripts/s/first.py": (
        "from pathlib import Path\nfrom llm.command import command\nfrom llm.middle import twice\n\n\n"
        "def main(text: Path, parts: Path, *, times: int) -> dict:\n"
        "    (parts / 'a.txt').write_text(twice(text.read_text()) * times)\n"
        "    (parts / 'b.txt').write_text('constant')\n"
        "    return {'times': times}\n\n\nif __name__ == '__main__':\n    command(main)\n"
    ),
    "scripts/s/second.py": (
        "from pathlib import Path\nfrom llm.command import command\nfrom llm.other import MARK\n\n\n"
        "def main(parts: Path, joined: Path) -> dict:\n"
        "    joined.write_text(''.join(f.read_text() for f in sorted(parts.glob('*.txt'))) + MARK)\n"
        "    return {}\n\n\nif __name__ == '__main__':\n    command(main)\n"
    ),
    "scripts/s/third.py": (
        "from pathlib import Path\nfrom llm.command import command\n\n\n"
        "def main(joined: Path, final: Path) -> dict:\n"
        "    final.write_text(joined.read_text()[::-1])\n"
        "    return {'length': len(joined.read_text())}\n\n\nif __name__ == '__main__':\n    command(main)\n"
    ),
    "config.yaml": "times: 2\nnumeric: native\nunused: 1\n",
    "text.txt": "hello\n",
    "Snakefile": """
from stemma.base.settings import Settings
from stemma.workflow.log_filter import be_terse
from stemma.workflow.attach import attach

be_terse(workflow)

configfile: "config.yaml"

rule all:
    input:
        "results/final.txt",

rule first:
    input:
        text="text.txt",
    output:
        parts="results/parts/manifest.json",
    params:
        times=config["times"],
    log:
        "results/logs/first.log",
    shell:
        "python -m stemma run scripts/s/{rule}.py {params.flags}"

rule second:
    input:
        parts="results/parts/manifest.json",
    output:
        joined="results/joined.txt",
    log:
        "results/logs/second.log",
    shell:
        "python -m stemma run scripts/s/{rule}.py {params.flags}"

rule third:
    input:
        joined="results/joined.txt",
    output:
        final="results/final.txt",
    log:
        "results/logs/third.log",
    shell:
        "python -m stemma run scripts/s/{rule}.py {params.flags}"

attach(workflow, Settings(key="key.pem", numeric=config["numeric"]))
""",
}


class Toy:
    """The toy's directory, and what one does with it."""

    def __init__(self, path: Path):
        self.path = path

    def command(self, *arguments: str) -> list[str]:
        """Snakemake with the default profile of this repository."""
        return [
            sys.executable,
            "-m",
            "snakemake",
            "--profile",
            str(REPOSITORY / "profiles/default"),
            "--cores",
            "2",
            *arguments,
        ]

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run it to its end."""
        return fork_server.run(self.command(*arguments), self.path, self.environment)

    @property
    def environment(self) -> dict[str, str]:
        """Whatever started the tests must not leak into the toy."""
        return {name: value for name, value in os.environ.items() if not name.startswith("STEMMA_")}

    def build(self, *arguments: str) -> list[tuple[str, str]]:
        """(rule, hit or run) of every job, in order; the build must succeed."""
        done = self.snakemake(*arguments)
        assert done.returncode == 0, done.stderr
        return jobs(done)

    def replace(self, name: str, old: str, new: str) -> None:
        """Edit a file; the old text must be there."""
        file = self.path / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def read(self, name: str) -> str:
        return (self.path / name).read_text()


def jobs(done: subprocess.CompletedProcess) -> list[tuple[str, str]]:
    """(rule, hit or run) of every job that ended well, in order."""
    return [(match[2], match[4]) for match in LINE.finditer(done.stderr)]


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    """A fresh toy, nothing built."""
    return planted(tmp_path)


@pytest.fixture(scope="session")
def built_once(tmp_path_factory) -> Path:
    """Where a toy was built, to be copied."""
    toy = planted(tmp_path_factory.mktemp("built"))
    assert toy.build() == ALL_RUN
    return toy.path


@pytest.fixture
def built(tmp_path: Path, built_once: Path) -> Toy:
    """A toy, all built: a copy, with its hard links and times."""
    subprocess.run(["cp", "-a", f"{built_once}/.", tmp_path], check=True)
    return Toy(tmp_path)


@pytest.fixture(scope="session")
def half(tmp_path_factory):
    """A yard that was built with times 2 only; to be copied, not changed."""
    from tests.stemma.yard import make_yard  # which imports this module

    yard = make_yard(tmp_path_factory.mktemp("half"))
    assert yard.build() == ["run"] * 3
    return yard


def planted(path: Path) -> Toy:
    """The toy's files, written."""
    for name, text in FILES.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for name in ("command", "errors", "progress", "settings"):
        (path / f"llm/{name}.py").write_text((REPOSITORY / f"llm/{name}.py").read_text())
    return Toy(path)


ALL_RUN = [("first", "run"), ("second", "run"), ("third", "run")]
