"""docs/records.md: every command on it is run on a real build, and finds what was tampered with."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stemma.base import digest
from tests.golden import ROOT

PAGE = ROOT / "docs/records.md"
TOOLS = [tool for tool in ("jq", "openssl", "sha256sum", "base64") if shutil.which(tool) is None]


def run_page(directory: Path) -> subprocess.CompletedProcess:
    """All commands of the page as one script that ends at the first failure."""
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len(blocks) > 8
    environment = os.environ | {"CODE": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)],
        cwd=directory, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    """The tiny build, to be tampered with."""
    subprocess.run(["cp", "-a", f"{tiny}/results", tmp_path], check=True)
    return tmp_path


@pytest.mark.skipif(bool(TOOLS), reason=f"not installed: {', '.join(TOOLS)}")
class TestPage:
    """In one class for the one reason to skip them."""

    def test_a_sound_build_passes(self, copy):
        done = run_page(copy)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "made by rule merge, scripts/package/merge.py" in done.stdout
        assert "results/models/dpo/manifest.json: OK" in done.stdout
        assert done.stdout.count("results/raw/") >= 1, "the chain reaches the raw documents"

    @pytest.mark.parametrize("name", ["config.json", "model.safetensors", "manifest.json"])
    def test_a_flipped_bit_in_the_model(self, copy, name):
        flip(copy / "results/models/dpo" / name, 40)
        assert run_page(copy).returncode != 0

    def test_a_file_too_many(self, copy):
        (copy / "results/models/dpo/stray.bin").write_text("?")
        done = run_page(copy)
        assert done.returncode != 0
        assert "> stray.bin" in done.stdout

    def test_a_forged_record(self, copy):
        flip(record_of(copy, "models/dpo/manifest.json"), 300)
        assert run_page(copy).returncode != 0

    def test_a_forged_ancestor(self, copy):
        """A flipped bit far up changes the digest by which its child names it."""
        flip(record_of(copy, "tokenizer/vocab.json"), 300)
        done = run_page(copy)
        assert done.returncode != 0
        assert "is missing" in done.stdout

    def test_a_forged_model_signature(self, copy):
        flip(copy / "results/models/dpo/model.sig", 700)
        assert run_page(copy).returncode != 0


def record_of(directory: Path, name: str) -> Path:
    """The record's file of what stands at results/<name>."""
    action = digest.read_json(directory / f"results/.records/{name}.json")["action"]
    return directory / f"results/.store/records/{action[:2]}/{action[2:]}.json"


def flip(file: Path, place: int) -> None:
    """Change a letter or a byte, in a file of its own: not in the one that the store may share with it."""
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.unlink()
    file.write_bytes(data)
