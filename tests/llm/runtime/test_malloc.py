"""Memory that is given back is no longer there, and nothing is lost with it."""

from pathlib import Path

import pytest
import torch

from llm.runtime.malloc import give_back_code


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="Linux alone says what is resident")
def test_code_comes_again() -> None:
    def of_files() -> int:
        return int(Path("/proc/self/status").read_text().split("RssFile:")[1].split()[0])

    x = torch.randn(64, 64)
    expected, before = x @ x, of_files()
    give_back_code()
    assert of_files() < before / 2
    assert torch.equal(x @ x, expected)
