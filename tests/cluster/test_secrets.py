"""The same as tests/test_secrets.py through Slurm: nothing secret in what its executor and its jobs write either."""

from pathlib import Path

import pytest

from tests.test_bad_input import ROOT
from tests.test_secrets import bucket, build, leaks, site

pytestmark = pytest.mark.cluster
__all__ = ["bucket", "site"]  # fixtures


def test_nothing_secret_stands_anywhere(tmp_path: Path, site: dict, bucket: str) -> None:  # noqa: F811
    built = build(tmp_path, site, bucket, "--profile", str(ROOT / "profiles/slurm"))
    assert leaks(built) == []
    assert any((built.directory / ".snakemake/slurm_logs").rglob("*.log"))
