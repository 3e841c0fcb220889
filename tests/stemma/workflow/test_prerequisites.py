"""Another environment's snakemake, which lacks what the scripts import, says which one to take."""

import site
import subprocess
import sys
import venv
from pathlib import Path

from tests.stemma.conftest import REPOSITORY


def test_another_environment_is_told_apart(tmp_path: Path):
    """One that has all of ours but fastwarc; the workflow's own snakefile, which asks first."""
    venv.create(tmp_path / "other")
    folder = tmp_path / f"other/lib/python3.{sys.version_info.minor}/site-packages"
    for entry in Path(site.getsitepackages()[0]).iterdir():
        if "fastwarc" not in entry.name.lower() and entry.name != "stemma.pth":
            (folder / entry.name).symlink_to(entry)
    done = subprocess.run(
        [tmp_path / "other/bin/python", "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile", "--profile",
         REPOSITORY / "profiles/default", "--directory", tmp_path, "--dry-run"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    line = f"error: fastwarc is not installed in {tmp_path}/other, to which this snakemake belongs; "
    assert done.returncode == 1
    assert done.stdout.startswith(f"{line}run {REPOSITORY}/.venv/bin/snakemake")
