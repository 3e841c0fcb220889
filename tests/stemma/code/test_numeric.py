"""The numeric class names what changes bytes: GPUs and instruction set where the machine is taken as it is."""

from pathlib import Path

import pytest

from stemma.code import numeric
from stemma.code.closure import Closure


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Closure:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return Closure(modules={}, data_files={}, distributions={"torch": "2"}, files={}, parts={})


def gpu(driver: Path, number: int, model: str) -> None:
    (driver / str(number)).mkdir(parents=True)
    (driver / str(number) / "information").write_text(f"Model: \t\t {model}\nIRQ:   \t\t 33\n")


def test_gpus_are_those_of_the_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert numeric.gpus(tmp_path / "none") == ""
    for number, model in enumerate(("NVIDIA H100 80GB HBM3", "NVIDIA A100", "NVIDIA H100 80GB HBM3")):
        gpu(tmp_path, number, model)
    assert numeric.gpus(tmp_path) == "NVIDIA A100, NVIDIA H100 80GB HBM3"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert numeric.gpus(tmp_path) == ""


def test_class_differs_by_device(trained: Closure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numeric, "gpus", lambda: "")
    without = numeric.class_of(trained, "native")
    monkeypatch.setattr(numeric, "gpus", lambda: "NVIDIA A100")
    assert numeric.class_of(trained, "native") == without.replace("native cpu", "native NVIDIA A100 deterministic")
    assert numeric.class_of(trained, "portable") == "portable"
    assert numeric.environment("portable")["CUDA_VISIBLE_DEVICES"] == ""
