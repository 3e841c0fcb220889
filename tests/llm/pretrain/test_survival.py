"""A segment survives what happens to it, by real processes: kills, signals, limits, damage, full disks, bad batches."""

import json
import signal
import time
from pathlib import Path

import pytest

from tests.llm.pretrain.toy import digests, ended, make_inputs, start, train

LAYOUTS = {
    "single": {},
    "ddp2": {"data": 2},
    "fsdp2": {"data": 2, "sharding": "full"},
}
GUARDS = {"window": 16, "patience": 3}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def clean(inputs: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a single process that nothing happened to."""
    path = tmp_path_factory.mktemp("clean") / "checkpoint"
    train(inputs, path, recovery_every=3)
    return path


@pytest.mark.parametrize(
    ("name", "kills"),
    [
        ("single", 3),
        pytest.param("ddp2", 2, marks=pytest.mark.thorough),
        *[pytest.param(name, 10, marks=pytest.mark.slow) for name in LAYOUTS],
    ],
)
def test_kills_change_nothing(inputs: dict, clean: Path, tmp_path: Path, name: str, kills: int) -> None:
    changes = {"parallel": LAYOUTS[name], "recovery_every": 3}
    world_size = LAYOUTS[name].get("data", 1)
    undisturbed = clean
    if world_size > 1:
        undisturbed = tmp_path / "clean"
        train(inputs, undisturbed, **changes)
    resumed = 0
    for number in range(kills):
        faults = {"kill": [number % world_size, 3 * number + 4 + number % 3], "sleep": 0.05}
        status, _, err = ended(start(inputs, tmp_path / "killed", faults, scratch=tmp_path / "scratch", **changes))
        assert status != 0
        resumed += "going on from step" in err  # the first point may not have been there in time
    _, err = train(inputs, tmp_path / "killed", scratch=tmp_path / "scratch", **changes)
    resumed += "going on from step" in err
    assert resumed >= kills / 2
    assert digests(tmp_path / "killed") == digests(undisturbed)


def test_sigterm_and_time_limit_stop_in_peace(inputs: dict, clean: Path, tmp_path: Path) -> None:
    there = {"scratch": tmp_path / "scratch", "recovery_every": 3}
    process = start(inputs, tmp_path / "checkpoint", {"sleep": 0.3}, **there)
    while not list((tmp_path / "scratch").glob("point-*")):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    status, out, err = ended(process)
    assert (status, out) == (75, "")
    assert "run again to go on" in err.splitlines()[-1]
    status, _, err = ended(start(inputs, tmp_path / "checkpoint", {"sleep": 0.3}, **there, time_limit=0.1))
    assert status == 75
    metrics, err = train(inputs, tmp_path / "checkpoint", **there)
    assert "going on from step" in err
    assert digests(tmp_path / "checkpoint") == digests(clean)
    assert metrics["skipped_steps"] == 0
    status, _, err = ended(start(inputs, tmp_path / "checkpoint", **there | {"learning_rate": 0.02}))
    assert status == 2
    assert "is of a run with other parameters" in err


def test_flipped_bit_in_a_recovery_point(inputs: dict, clean: Path, tmp_path: Path) -> None:
    there = {"scratch": tmp_path / "scratch", "recovery_every": 3}
    ended(start(inputs, tmp_path / "checkpoint", {"kill": [0, 12]}, **there))
    newest = max((tmp_path / "scratch").glob("point-*"))
    file = newest / "optimizer.safetensors"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    _, err = train(inputs, tmp_path / "checkpoint", **there)
    assert f"{file} is missing or damaged; this recovery point is not used" in err
    assert "going on from step 6" in err
    assert digests(tmp_path / "checkpoint") == digests(clean)


def test_full_disk_costs_a_warning(inputs: dict, clean: Path, tmp_path: Path) -> None:
    _, err = train(inputs, tmp_path / "checkpoint", {"disk": 20000}, scratch=tmp_path / "scratch", recovery_every=3)
    assert err.count("warning: no recovery point of step") == 13
    assert digests(tmp_path / "checkpoint") == digests(clean)


def test_hang_is_ended(inputs: dict, tmp_path: Path) -> None:
    changes = {"parallel": {"data": 2}, "hang_seconds": 8, "scratch": tmp_path / "scratch"}
    status, _, err = ended(start(inputs, tmp_path / "checkpoint", {"hang": [1, 5]}, **changes))
    assert status != 0
    assert "no step has ended for 8 s, the last was 4" in err
    assert "faulty_step" in err


@pytest.mark.parametrize("faults", [{"corrupt": [25]}, {"corrupt": [27], "nan": [24]}])
def test_bad_batches_are_skipped(inputs: dict, clean: Path, tmp_path: Path, faults: dict) -> None:
    metrics, _ = train(inputs, tmp_path / "checkpoint", faults, recovery_every=3, guards=GUARDS)
    bad = sorted(step for steps in faults.values() for step in steps)
    events = [json.loads(line) for line in (tmp_path / "checkpoint/events.jsonl").read_text().splitlines()]
    assert [event["step"] for event in events] == bad
    state = json.loads((tmp_path / "checkpoint/state.json").read_text())
    assert state["skipped"] == bad
    assert metrics["tokens_seen"] == (40 - len(bad)) * 8 * 32
    assert metrics["val_bpb"] == pytest.approx(bits_per_byte(clean), rel=0.02 * len(bad))  # of forty batches


@pytest.mark.parametrize("kills", [(22,), pytest.param((22, 17, 23, 26), marks=pytest.mark.thorough)])
def test_rollback_is_deterministic_and_survives_kills(
    inputs: dict, clean: Path, tmp_path: Path, kills: tuple[int, ...]
) -> None:
    """Step 20 breaks the weights; it is left out on the way again from the golden point before it."""
    changes = {"recovery_every": 4, "guards": GUARDS}
    metrics, err = train(inputs, tmp_path / "checkpoint", {"poison": [20]}, **changes)
    assert metrics["rollbacks"] == 1
    assert "gone back from step 23 to 16" in err
    assert metrics["val_bpb"] == pytest.approx(bits_per_byte(clean), rel=0.1)  # six of forty batches less
    for step in kills:
        faults = {"poison": [20], "kill": [0, step]}
        ended(start(inputs, tmp_path / "killed", faults, scratch=tmp_path / "scratch", **changes))
    train(inputs, tmp_path / "killed", {"poison": [20]}, scratch=tmp_path / "scratch", **changes)
    assert digests(tmp_path / "killed") == digests(tmp_path / "checkpoint")


def test_rollbacks_are_bounded(inputs: dict, tmp_path: Path) -> None:
    faults = {"poison": list(range(1, 41))}
    status, _, err = ended(start(inputs, tmp_path / "checkpoint", faults, guards=GUARDS | {"max_rollbacks": 2}))
    assert status == 2
    assert "after 2 rollbacks; lower pretrain.learning_rate" in err.splitlines()[-1]


def bits_per_byte(checkpoint: Path) -> float:
    import polars as pl

    return pl.read_parquet(checkpoint / "metrics.parquet")["val_bpb"][-1]
