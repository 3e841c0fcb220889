"""The directory that benchmarks/rebuilds.py changes and builds: the repository's tracked files but tests and docs, and
two directories of text. Everything is built inside it."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from stemma.base.settings import ROOT

MANIFEST = "manifest.json"
OVERLAY = "benchmarks/rebuilds.yaml"
LATER_ROOMS = tuple(f"llm/{room}/" for room in ("pretrain", "align", "package", "deploy"))


@dataclass
class Workspace:
    """root: where everything lies. yard: where what several workspaces use is kept. environment: variables that a
    change adds. configs: overlays beside the preset. python: the interpreter, whose packages a change may replace.
    like: the state whose scripts do the same as those here, where that is known."""

    root: Path
    yard: Path
    environment: dict[str, str] = field(default_factory=dict)
    configs: list[str] = field(default_factory=lambda: [OVERLAY])
    python: str = sys.executable
    like: str = ""

    @classmethod
    def new(cls, root: Path, yard: Path) -> "Workspace":
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for name in filter(None, listed.split("\0")):
            if not name.startswith(("tests/", "docs/")) and (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, root / name)
        for folder, pages in (
            ("texts", sorted((ROOT / "docs").glob("[a-e]*.md"))),
            ("more", sorted((ROOT / "docs").glob("p*.md"))),
        ):
            (root / folder).mkdir()
            for page in pages:
                (root / folder / f"{page.stem}.txt").write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
        return cls(root, yard)

    def copy(self, root: Path) -> "Workspace":
        """As it stands, times and hard links kept."""
        shutil.rmtree(root, ignore_errors=True)
        root.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", f"{self.root}/.", str(root)], check=True)
        return Workspace(root, self.yard, dict(self.environment), list(self.configs), self.python)

    def state(self, *without: str) -> str:
        """Digest of all code that a script may run but what lies in `without`, of its packages and surroundings."""
        found = hashlib.sha256(json.dumps([self.python == sys.executable, sorted(self.environment)]).encode())
        for folder in ("llm", "scripts", "kernels"):
            for file in sorted((self.root / folder).rglob("*")):
                name = str(file.relative_to(self.root))
                if file.is_file() and "__pycache__" not in file.parts and not name.startswith(without):
                    found.update(name.encode() + b"\0" + file.read_bytes() + b"\0")
        return found.hexdigest()

    def replayed(self) -> dict[str, str]:
        """For benchmarks/rebuilds_replay.py. Scripts of the data half import nothing of the later rooms, so an edit
        there leaves what they do as it was."""
        base = Workspace(self.yard / "pristine", self.yard)
        same = self.state(*LATER_ROOMS) == base.state(*LATER_ROOMS)
        state = self.like or self.state()
        states = {"REPLAY_STATE": state, "REPLAY_STATE_OF_DATA": base.state() if same else state}
        return states | {"REPLAY_KEPT": str(self.yard / "kept")}

    def variables(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SNAKEMAKE", "STEMMA"))}
        programs = f"{Path(self.python).parent}:{os.environ['PATH']}"
        own = {"PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1", "STEMMA_CACHE": str(self.yard / "cache")}
        return inherited | own | {"PATH": programs} | self.environment
