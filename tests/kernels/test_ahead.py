"""The engine's kernels, compiled by another process: this one finds all that an engine calls, and compiles nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kernels import ahead

ROOT = Path(__file__).resolve().parents[2]
SERVES = """
import sys
from pathlib import Path
import torch
from kernels.ahead import engine_kernels, load_compiled
load_compiled(Path(sys.argv[1]))
called = {kernel: len(kernel.signatures) for kernel in engine_kernels()}
from llm.deploy.quantize.operators import run_quantized
from llm.inference.engine import Engine
from llm.inference.sequence import Request
from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM
config = ModelConfig(512, 64, n_layers=2, n_heads=4, n_kv_heads=2, d_head=16, d_ff=96, context_length=64)
for lm in (CausalLM(config), run_quantized(CausalLM(config), "dense")):
    Engine(lm).generate([Request([5, 6, 7] * n, 3) for n in (1, 4, 9)])
for kernel, before in called.items():
    assert not kernel.stats.cache_misses and len(kernel.signatures) == before, kernel
print(sum(called.values()))
"""


@pytest.mark.slow  # some kernels are compiled
def test_an_engine_compiles_nothing(tmp_path) -> None:
    """Neither at the first start, for which another process compiles, nor at the second."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    kept = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", SERVES, str(tmp_path)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) >= 10
        kept.append({file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.nbc")})
    assert len(kept[0]) >= 10 and kept[0] == kept[1]


def test_code_that_others_could_have_written_is_not_loaded(tmp_path) -> None:
    folder = tmp_path / "engine"
    assert not ahead.is_own(folder)
    folder.mkdir(mode=0o700)
    assert ahead.is_own(folder)
    folder.chmod(0o777)
    assert not ahead.is_own(folder)


def test_what_is_kept_appears_at_once_or_not_at_all(tmp_path) -> None:
    source, folder = tmp_path / "source", tmp_path / "kept" / "engine"
    source.mkdir()
    (source / "code").write_text("new")
    ahead.keep(source, folder)
    assert (folder / "code").read_text() == "new"
    (folder / "code").write_text("another's")
    ahead.keep(source, folder)
    assert (folder / "code").read_text() == "another's" and [*folder.parent.iterdir()] == [folder]
