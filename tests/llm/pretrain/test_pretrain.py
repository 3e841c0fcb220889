"""Segments of training: 20 + 20 steps are 40, one thread is two, and what goes wrong is said in one line."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from llm.errors import InputError
from llm.pretrain.metrics import NAME as METRICS
from scripts.pretrain.pretrain import main
from tests.llm.pretrain.toy import MODEL, digests, main_arguments, make_inputs, options

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_inputs(tmp_path_factory.mktemp("inputs"))


def run(inputs: dict, checkpoint: Path, start: int, stop: int, previous: Path | None = None, **changes) -> dict:
    checkpoint.mkdir()
    return main(**main_arguments(inputs, checkpoint, start=start, stop=stop, previous=previous, **changes))


@pytest.mark.parametrize(
    ("optimizer", "dtype"),
    [
        ("muon", "bfloat16"),
        ("adamw", "float32"),
        pytest.param("muon", "float32", marks=pytest.mark.thorough),
        pytest.param("adamw", "bfloat16", marks=pytest.mark.thorough),
    ],
)
def test_twenty_and_twenty_are_forty(inputs: dict, tmp_path: Path, optimizer: str, dtype: str) -> None:
    changes = {"optimizer": optimizer, "dtype": dtype}
    whole = run(inputs, tmp_path / "whole", 0, 40, **changes)
    run(inputs, tmp_path / "half", 0, 20, **changes)
    resumed = run(inputs, tmp_path / "rest", 20, 40, tmp_path / "half", **changes)
    rows = [pl.read_parquet(tmp_path / name / METRICS) for name in ("whole", "rest")]
    assert rows[0][20:].equals(rows[1])
    expected, found = digests(tmp_path / "whole"), digests(tmp_path / "rest")
    assert expected.keys() == {"model.safetensors", "optimizer.safetensors", "state.json", METRICS}
    assert {name: digest for name, digest in found.items() if name != METRICS} == {
        name: digest for name, digest in expected.items() if name != METRICS
    }
    assert resumed["val_bpb"] == whole["val_bpb"]
    assert resumed["tokens_seen"] == 40 * 8 * 32


def test_it_learns(inputs: dict, tmp_path: Path) -> None:
    """A byte of this text is a token: uniform 6 bits; knowing the rule leaves 0.2 * log2(56) + H(0.2) = 1.88."""
    metrics = run(inputs, tmp_path / "checkpoint", 0, 40)
    assert metrics["val_bpb"] < 4.5
    assert set(metrics["val_bpb_by_domain"]) == {"A", "B"}
    assert metrics["validation_tokens"] == 2 * 6 * 101
    rows = pl.read_parquet(tmp_path / "checkpoint" / METRICS)
    assert rows.columns == ["step", "loss", "lr", "grad_norm", "val_bpb", "val_bpb.A", "val_bpb.B"]
    assert rows["step"].to_list() == list(range(1, 41))
    assert rows["val_bpb"].null_count() == 39
    last = rows.row(-1, named=True)
    assert {name: last[f"val_bpb.{name}"] for name in ("A", "B")} == metrics["val_bpb_by_domain"]
    assert last["val_bpb"] == metrics["val_bpb"]
    assert last["lr"] == pytest.approx(0.01 / 20), "the last step moves the weights too"


def test_live_telemetry_changes_no_byte(inputs: dict, tmp_path: Path) -> None:
    """And is where it was asked for: speeds in the log's directory and in the metrics, none in the checkpoint."""
    logs = tmp_path / "logs"
    logs.mkdir()
    metrics = run(inputs, tmp_path / "watched", 0, 5, logs=logs)
    run(inputs, tmp_path / "unwatched", 0, 5)
    assert digests(tmp_path / "watched") == digests(tmp_path / "unwatched")
    rows = pl.read_parquet(logs / "telemetry.parquet")
    assert rows["step"].to_list() == [1, 2, 3, 4, 5]
    assert rows["tokens_per_second"].median() == pytest.approx(metrics["tokens_per_second"], abs=1)
    assert metrics["peak_memory_bytes"] == rows["memory_bytes"].max()
    assert 0 < metrics["mfu"] < 1
    assert len(list(logs.glob("events.out.tfevents.*"))) == 1


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_threads_do_not_change_bytes(inputs: dict, tmp_path: Path, compiled: bool) -> None:
    """In processes of their own: a thread count cannot be changed for good within one."""
    arguments = options(inputs, start=0, stop=5, compile=compiled)
    found = []
    for threads in ("1", "2"):
        directory = tmp_path / threads
        directory.mkdir()
        subprocess.run(
            [sys.executable, "scripts/pretrain/pretrain.py", *arguments, "--checkpoint", str(directory)],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": threads, "PATH": "/usr/bin:/bin"},
            check=True,
            capture_output=True,
        )
        found.append(digests(directory))
    assert found[0] == found[1]


def test_divergence_is_said_in_one_line(inputs: dict, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pretraining diverged at step \d+: .*lower pretrain.learning_rate") as caught:
        run(inputs, tmp_path / "checkpoint", 0, 40, learning_rate=1e30)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("guards", [{}, {"max_rollbacks": 0, "patience": 1000}])
def test_an_absurd_rate_is_no_success(inputs: dict, tmp_path: Path, guards: dict) -> None:
    """At 1e5 a build ended with 0, 55 of 60 steps skipped, and the rates of steps that had not been taken."""
    with pytest.raises(InputError, match=r"pretraining diverged.*lower pretrain.learning_rate") as caught:
        run(inputs, tmp_path / "checkpoint", 0, 20, learning_rate=1e5, matrix_learning_rate=1e5, guards=guards)
    assert "\n" not in str(caught.value)


def test_wrong_previous_checkpoint_is_refused(inputs: dict, tmp_path: Path) -> None:
    run(inputs, tmp_path / "five", 0, 5)
    with pytest.raises(InputError, match="is of step 5, but this segment starts at step 10"):
        run(inputs, tmp_path / "a", 10, 15, tmp_path / "five")
    with pytest.raises(InputError, match=r"has no adamw.model.layers.*another optimizer"):
        run(inputs, tmp_path / "b", 5, 10, tmp_path / "five", optimizer="adamw")
    other = tmp_path / "config.json"  # the same tensors, another model
    other.write_text(json.dumps(replace(MODEL, rope_theta=500.0).to_hf()))
    with pytest.raises(InputError, match="is of another architecture: it states config.json"):
        run(inputs | {"config": other}, tmp_path / "d", 5, 10, tmp_path / "five")
    (tmp_path / "five/optimizer.safetensors").write_bytes(b"broken")
    with pytest.raises(InputError, match="optimizer.safetensors cannot be read"):
        run(inputs, tmp_path / "c", 5, 10, tmp_path / "five")


def test_an_older_or_spoilt_checkpoint_is_refused_in_one_line(inputs: dict, tmp_path: Path) -> None:
    """NaN in one ended in three rollbacks and the advice to lower the rate; an older state.json in a traceback."""
    run(inputs, tmp_path / "five", 0, 5)
    weights = load_file(tmp_path / "five/model.safetensors")
    spoilt = {name: tensor.clone() for name, tensor in weights.items()}
    spoilt["model.norm.weight"][3] = torch.nan
    save_file(spoilt, tmp_path / "five/model.safetensors")
    with pytest.raises(InputError, match=r"five: model.norm.weight holds numbers that are not finite.*build it again"):
        run(inputs, tmp_path / "a", 5, 10, tmp_path / "five")
    save_file(weights, tmp_path / "five/model.safetensors")
    state = json.loads((tmp_path / "five/state.json").read_text())
    for name in ("window", "skipped", "config", "tokens_seen", "step"):
        older = {key: value for key, value in state.items() if key != name}
        (tmp_path / "five/state.json").write_text(json.dumps(older))
        with pytest.raises(InputError, match=rf"state.json lacks {name}: another version.*build the checkpoint again"):
            run(inputs, tmp_path / name, 5, 10, tmp_path / "five")


def test_bits_per_byte_equals_a_plain_sum(inputs: dict, tmp_path: Path) -> None:
    """Against transformers on the saved weights, window by window."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from llm.model.directory import read_tensors
    from llm.pretrain.evaluate import ValidationSet

    metrics = run(inputs, tmp_path / "checkpoint", 0, 10, dtype="float32")
    theirs = LlamaForCausalLM(LlamaConfig(**MODEL.to_hf())).eval()
    theirs.load_state_dict(read_tensors(tmp_path / "checkpoint/model.safetensors"), strict=False)
    validation = ValidationSet(inputs["tokens"])
    bits = 0.0
    for source in validation.tokens:
        stream = torch.tensor([2, *validation.tokens[source].tolist()])
        for start in range(0, len(stream) - 1, 32):
            window = stream[None, start : start + 33]
            with torch.no_grad():
                logits = theirs(window[:, :-1]).logits.log_softmax(-1)
            bits -= logits.gather(-1, window[:, 1:, None]).sum().item() / np.log(2)
    assert metrics["val_bpb"] == pytest.approx(bits / (2 * 6 * 100), rel=1e-5)
