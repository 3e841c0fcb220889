"""The shim touches megatron.core alone, only without CUDA, and holds nothing that is not needed."""

import subprocess
import sys
from os import environ
from pathlib import Path

import pytest
import torch

from llm.pretrain.engines.megatron import shim

ROOT = Path(__file__).resolve().parents[5]
WITHOUT_ONE = """
import sys
from tests.llm.pretrain.engines.megatron.ranks import LAYOUTS, on_ranks
from tests.llm.pretrain.engines.megatron.test_shim import work

if __name__ == "__main__":
    on_ranks({"": (LAYOUTS[sys.argv[1]], work, int(sys.argv[2]), sys.argv[3])})
"""


def work(layout, number: int, directory: str) -> None:
    """A short run with a checkpoint, in a rank that does without substitution `number`; -1 leaves out none."""
    from tests.llm.pretrain.engines.megatron.ranks import FOUR, run_of

    shim.SUBSTITUTIONS = tuple(pair for index, pair in enumerate(shim.SUBSTITUTIONS) if index != number)
    run_of(layout, FOUR, 1, 1, Path(directory))


def test_it_is_idle_with_cuda(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", [])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    shim.install()
    assert sys.meta_path == []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    shim.install()
    shim.install()
    assert len(sys.meta_path) == 1


@pytest.mark.parametrize("name", ["torch.cuda", "megatron", "megatron.core", "megatron_core.utils", "llm.errors"])
def test_no_other_package_is_seen(name):
    assert shim.Finder().find_spec(name, None) is None


@pytest.mark.slow
@pytest.mark.parametrize("number", range(-1, len(shim.SUBSTITUTIONS)))
def test_each_substitution_is_needed(number, tmp_path):
    """Without any one of them engine megatron does not run; with all it does."""
    script = tmp_path / "without_one.py"
    script.write_text(WITHOUT_ONE)
    outcomes = []
    for name in ("DP2, distributed optimizer", "PP2"):
        directory = tmp_path / name
        directory.mkdir()
        command = [sys.executable, str(script), name, str(number), str(directory)]
        run = subprocess.run(command, cwd=ROOT, env=environ | {"PYTHONPATH": str(ROOT)}, timeout=200)
        outcomes.append(run.returncode)
    assert any(outcomes) == (number >= 0), outcomes
