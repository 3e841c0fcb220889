"""Parts of benchmarks/gpu.py about training that is right: the CPU's curve (`parity`), the same bytes after a kill
(`resume`), and the engines of several ranks with one rank over NCCL (`engines`)."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from benchmarks.gpu_bench import TINY, Bench, Row, SeededStream, settings
from benchmarks.gpu_resume import STEPS as RESUMED_STEPS
from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM, initialise
from llm.pretrain.next_token import NextToken
from llm.training.engine import Engine
from llm.training.engines.layout import Layout
from llm.training.engines.single import SingleEngine, prepare_layers

STEPS, BATCH = 50, 16
LOSSES, NORMS = 1e-4, 1e-3  # by how much a loss may differ, and a gradient's norm (relative)
RATE = 6e-4
Curve = list[tuple[float, float]]


def parity(bench: Bench) -> Iterator[Row]:
    """The tiny model in fp32, the same steps on the device and on this machine's CPU."""
    for optimizer in ("adamw", "muon"):
        wanted, found = (curve_of(bench, single_engine(TINY, device, optimizer)) for device in ("cpu", bench.device))
        yield from differences(optimizer, found, wanted)
    if not bench.small:
        found = curve_of(bench, single_engine(TINY, bench.device, "muon", compile=True))
        yield from differences("muon, compiled", found, wanted)


def single_engine(config: ModelConfig, device: str, optimizer: str = "adamw", compile: bool = False) -> SingleEngine:
    model = prepare_layers(initialise(CausalLM(config), 0), "none", compile).to(device)
    return SingleEngine(NextToken(model, torch.float32, compile), settings(optimizer, RATE))


def curve_of(bench: Bench, engine: Engine, config: ModelConfig = TINY) -> Curve:
    """(loss, gradient norm) of each step."""
    stream = SeededStream(config.vocab_size, config.context_length)
    found = []
    for step in range(3 if bench.small else STEPS):
        loss, norm = engine.gradients(partial(stream.rows, step * BATCH), BATCH)
        engine.update(min(1.0, (step + 1) / 10), norm)
        found.append((loss, norm))
    return found


def differences(name: str, found: Curve, wanted: Curve) -> Iterator[Row]:
    loss = max(abs(a - b) for (a, _), (b, _) in zip(found, wanted, strict=True))
    norm = max(abs(a - b) / b for (_, a), (_, b) in zip(found, wanted, strict=True))
    note = f"{wanted[0][0]:.3f} to {wanted[-1][0]:.3f} in {len(wanted)} steps"
    yield Row(f"{name}: losses differ by at most", loss, "nats", loss <= LOSSES, note)
    yield Row(f"{name}: gradient norms differ by at most", norm, "relative", norm <= NORMS)


def engines(bench: Bench) -> Iterator[Row]:
    """FSDP2 and megatron-core, one rank, in fp32: the CPU's curve of one process."""
    wanted = curve_of(bench, single_engine(TINY, "cpu"))
    for name, build in (("FSDP2", fsdp_engine), ("megatron", megatron_engine)):
        try:
            with one_rank(bench):
                yield from differences(name, curve_of(bench, build(bench)), wanted)
        except ImportError as error:
            yield Row(name, 0.0, "", None, f"left out: {error}")


def one_rank(bench: Bench):  # noqa: ANN201
    """The process group of a run with one rank."""
    from llm.runtime.group import Place, process_group

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29511")
    return process_group(Place(0, 1, 0), torch.distributed.HashStore(), 60.0)


def fsdp_engine(bench: Bench) -> Engine:
    from llm.training.engines.fsdp import FSDPEngine

    model = initialise(CausalLM(TINY), 0)
    return FSDPEngine(NextToken(model, torch.float32), settings("adamw", RATE), torch.device(bench.device))


def megatron_engine(bench: Bench) -> Engine:
    if importlib.util.find_spec("megatron") is None:
        raise ModuleNotFoundError("megatron-core is not installed")
    from llm.pretrain.engines.megatron.build import build_megatron

    layout = Layout(engine="megatron")
    return build_megatron(TINY, layout, settings("adamw", RATE), torch.float32, 0, "none", False)


def resume(bench: Bench) -> Iterator[Row]:
    """Killed with SIGKILL and run again, with deterministic algorithms: the bytes of a run that was not."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        whole = resumed(bench, root / "whole")
        again = resumed(bench, root / "again")
        yield Row("two runs are equal", float(whole == again), "", whole == again)
        killed = resumed(bench, root / "killed", kill_at=RESUMED_STEPS * 3 // 5)
        ended = resumed(bench, root / "killed")
        yield Row(
            "killed and resumed is equal",
            float(ended == whole),
            "",
            killed is None and ended == whole,
            f"sha256 {whole[:12]}",
        )
        seconds = {}
        for mode in ("deterministic", "free"):
            shutil.rmtree(root / "timed", ignore_errors=True)
            seconds[mode] = resumed(bench, root / "timed", mode=mode, timed=True)
        cost = seconds["deterministic"] / seconds["free"] - 1
        yield Row("determinism costs of a step", 100 * cost, "%", None, f"{seconds['free'] * 1e3:.1f} ms without")


def resumed(bench: Bench, directory: Path, kill_at: int = 0, mode: str = "deterministic", timed: bool = False):  # noqa: ANN201
    """The digest of what a run leaves (None where it was killed), or the median seconds of its steps."""
    command = [sys.executable, "-m", "benchmarks.gpu_resume", str(directory), "--device", bench.device, "--mode", mode]
    done = subprocess.run([*command, "--kill-at", str(kill_at)], stdout=subprocess.PIPE, text=True, check=False)
    if kill_at and done.returncode == -9:
        return None
    if done.returncode:
        raise SystemExit(f"error: {' '.join(command[2:])} ended with status {done.returncode}")
    said = json.loads(done.stdout.splitlines()[-1])
    return said["step_seconds"] if timed else said["sha256"]
