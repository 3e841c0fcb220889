"""The repository's Snakefile as a module of another workflow: its files are its own, what it makes is the other's."""

import sys
from pathlib import Path

import yaml

from llm.plan.presets import overlaid
from tests import fork_server

ROOT = Path(__file__).resolve().parents[3]
OUTER = f"""
configfile: "ours.yaml"

module pipeline:
    snakefile: "{ROOT}/Snakefile"
    config: config

use rule * from pipeline as pipeline_*

rule counted:
    default_target: True
    input: "results/raw/mine/manifest.json"
    output: "counted.txt"
    shell: "wc -c < {{input}} > {{output}}"
"""
MINE = {
    "corpus": ["mine"],
    "sources": {"mine": {"path": "texts/", "format": "text", "domain": "books", "license": "CC-BY-4.0"}},
}


def test_another_workflow_takes_the_rules(tmp_path: Path) -> None:
    """A second workflow, in a directory of its own, with a rule of its own that needs what the module makes."""
    (tmp_path / "Snakefile").write_text(OUTER)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/one.txt").write_text("The river runs slowly to the wide and open sea. " * 20)
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config = overlaid(overlaid(config, yaml.safe_load((ROOT / "presets/tiny.yaml").read_text())), MINE)
    (tmp_path / "ours.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--cores", "1"]
    done = fork_server.run(command, tmp_path)
    assert done.returncode == 0, done.stderr
    assert int((tmp_path / "counted.txt").read_text()) > 0
    assert (tmp_path / "results/raw/mine/part-00000.parquet").is_file()
