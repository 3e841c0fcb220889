"""What is refused before anything runs; the workflow's side of it is in tests/test_bad_input.py."""

import subprocess
import sys
from pathlib import Path

import pytest

from llm.errors import InputError
from llm.model.config import ModelConfig
from llm.plan.feasible import bytes_of_step, check_gpus, check_memory, gpus_here, machine_bytes, trains_here
from llm.training.engines.layout import Layout

ROOT = Path(__file__).resolve().parents[3]
SECTION = {"d_model": 128, "n_layers": 4, "n_heads": 2, "n_kv_heads": 1, "d_ff": 384}
STEP = """
import sys, torch
from pathlib import Path
from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM, initialise
from llm.pretrain.next_token import NextToken
from llm.training.engines.single import SingleEngine
from llm.training.settings import OptimizerSettings
model = ModelConfig.from_section({section}, 4096)
def peak():
    return int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])  # ru_maxrss may be a parent's

before = peak()
objective = NextToken(initialise(CausalLM(model), 1), torch.{dtype})
engine = SingleEngine(objective, OptimizerSettings("muon", .01, .01, 0., 1.))
tokens = torch.full(({rows}, model.context_length + 1), 9)
engine.gradients(lambda first, count: tokens[first : first + count], {rows})
engine.update(1.0, 1.0)
print((peak() - before) * 1024)
"""


def model(**keys) -> ModelConfig:
    return ModelConfig.from_section(SECTION | {"context_length": 128} | keys, 4096)


def pretrain(rows: int, **keys) -> dict:
    return {"batch_size": rows, "parallel": {}, "nodes": 1, "dtype": "float32", "recompute": "none"} | keys


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_real_step_takes_what_is_told_and_no_less_than_half(dtype):
    """Of a process that trains: a bound that is refused must be one that would have been passed."""
    section = SECTION | {"context_length": 128}
    code = STEP.format(section=section, dtype=dtype, rows=128)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    told = bytes_of_step(model(), pretrain(128, dtype=dtype))
    assert 0.5 * int(done.stdout) < told < int(done.stdout)


def test_what_does_not_fit_is_refused_with_the_figures():
    large = model(context_length=200_000)
    with pytest.raises(InputError, match=r"16 sequences of 200,000 tokens .* about 131 GB, this machine has 25 GB"):
        check_memory(large, pretrain(16), 25e9)
    check_memory(large, pretrain(16, parallel={"micro_batch": 1}), 25e9)
    check_memory(model(), pretrain(16), 25e9)
    assert bytes_of_step(large, pretrain(16, recompute="full")) < bytes_of_step(large, pretrain(16)) / 2


def test_ranks_of_one_node_share_its_memory():
    one, two = (bytes_of_step(model(), pretrain(256, parallel={"data": n})) for n in (1, 2))
    states = 16 * 1_311_872
    assert two - one == pytest.approx(states), "rows are shared out, weights are not"
    assert bytes_of_step(model(), pretrain(256, parallel={"data": 2}, nodes=2)) == pytest.approx(two / 2)


def test_this_machine():
    assert 2**28 < machine_bytes() < 2**50
    assert not trains_here(local=False)


@pytest.mark.parametrize(
    ("gpus", "ranks", "advice"),
    [
        (1, 2, "this machine has 1; lay presets/gpu.yaml over your config"),
        (2, 8, "this machine has 2; ask for 2 at most"),
    ],
)
def test_more_ranks_than_gpus_are_refused(gpus: int, ranks: int, advice: str):
    with pytest.raises(InputError, match=rf"^pretrain.parallel: {ranks} ranks need a GPU each, {advice}"):
        check_gpus("pretrain", Layout(data=ranks), gpus)
    check_gpus("pretrain", Layout(data=ranks), 0)
    check_gpus("pretrain", Layout(data=ranks), ranks)


def test_the_gpus_that_jobs_train_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Devices as the driver makes them; CUDA's own variable, a torch without CUDA and portable numerics hide them."""
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpus_here("native", tmp_path, "2.13.0+cu130") == gpus_here("native", tmp_path, "2.13.0") == 2
    assert gpus_here("native", tmp_path, "2.13.0+cpu") == gpus_here("portable", tmp_path, "2.13.0") == 0
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert gpus_here("native", tmp_path, "2.13.0") == 1
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus_here("native", tmp_path, "2.13.0") == 0


def test_one_gpu_and_the_default_run(tmp_path: Path):
    """Refused before anything runs, with the preset to give, which is taken."""
    target = "results/pretrain/step-1450/manifest.json"
    default = on_one_gpu(tmp_path, target)
    assert default.returncode != 0 and "Traceback" not in default.stderr
    [line] = [line for line in default.stdout.splitlines() if line.startswith("error: ")]  # of a dry run, Snakemake's
    assert "pretrain.parallel: 2 ranks need a GPU each, this machine has 1; lay presets/gpu.yaml" in line
    done = on_one_gpu(tmp_path, target, "--configfile", str(ROOT / "presets/gpu.yaml"))
    assert done.returncode == 0, done.stderr


def on_one_gpu(directory: Path, target: str, *arguments: str) -> subprocess.CompletedProcess:
    """A dry run in a process that is told of one GPU."""
    code = "from llm.plan import feasible; feasible.gpus_here = lambda *_: 1; from snakemake.cli import main; main()"
    where = ["--snakefile", str(ROOT / "Snakefile"), "--profile", str(ROOT / "profiles/default")]
    command = [sys.executable, "-c", code, "-n", target, *where, "--directory", str(directory), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
