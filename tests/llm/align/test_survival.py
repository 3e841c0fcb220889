"""An adapter's training survives what happens to it, by real processes: SIGKILL, SIGTERM, ranks that die."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from llm.align.lora import add_lora, save_adapter
from llm.align.records import write_jsonl
from llm.align.settings.adapter import LoraConfig
from llm.align.settings.paired import PAIRED
from llm.align.settings.policy import POLICIES
from llm.model.config import ModelConfig
from llm.model.directory import load_model
from llm.model.transformer import CausalLM, initialise
from tests.llm.pretrain.toy import digests, ended
from tests.llm.weights import save_weights

ROOT = Path(__file__).resolve().parents[3]
LAYOUTS = {"single": {}, "ddp2": {"data": 2}, "fsdp2": {"data": 2, "sharding": "full"}}
SETTINGS = {
    "schedule": {"steps": 12, "batch_size": 4, "learning_rate": 0.01, "warmup_steps": 2},
    "lora": {"r": 4, "alpha": 8, "target_modules": ["q_proj", "down_proj"]},
    "dtype": "float32",
    "max_tokens": 128,
    "recovery_every": 2,
    "seed": 0,
}

# Recovery points fall between steps on the same answers.
POLICY = {
    "rewards": {"brevity": 1.0},
    "samples": 2,
    "max_new_tokens": 8,
    "iterations": 3,
    "kl_bound": 50.0,
    "held_out": 2,
}
# A reward model of random weights, one of two rewards; the coefficient of the divergence is part of the state.
OF_METHOD = {"ppo": {"rewards": {"reward_model": 1.0, "brevity": 0.5}, "kl_target": 0.01, "kl_coef": 0.2}}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, tokenizer_files: dict[str, Path]) -> Path:
    """base/ (a random model), instructions/ and preferences/ of a few lines."""
    directory = tmp_path_factory.mktemp("survival")
    for name in ("base", "instructions", "preferences"):
        (directory / name).mkdir()
    config = ModelConfig(400, d_model=32, n_layers=2, n_heads=4, n_kv_heads=2, d_head=8, d_ff=64, context_length=128)
    (directory / "base/config.json").write_text(json.dumps(config.to_hf()))
    save_weights(initialise(CausalLM(config), 0), directory / "base/model.safetensors")
    (directory / "base/tokenizer.model").write_bytes(tokenizer_files["model"].read_bytes())
    random_reward_model(load_model(directory / "base"), directory / "reward")
    for split, numbers in (("train", range(30)), ("validation", range(30, 36))):
        asked = [(f"What is {n}?", f"A number {'of parts ' * (n % 4)}{n}.") for n in numbers]
        messages = [[{"role": "user", "content": q}, {"role": "assistant", "content": a}] for q, a in asked]
        write_jsonl(directory / f"instructions/{split}.jsonl", [{"messages": m, "kind": "k"} for m in messages])
        rows = [{"prompt": q, "chosen": a, "rejected": a[::-1], "kind": "k"} for q, a in asked]
        write_jsonl(directory / f"preferences/{split}.jsonl", rows)
    return directory


def random_reward_model(model: CausalLM, directory: Path) -> None:
    """The adapter of a reward model that rates all answers differently."""
    directory.mkdir()
    lora = LoraConfig(4, 8, ("q_proj", "down_proj"))
    add_lora(model, lora, 0)
    random = torch.Generator().manual_seed(1)
    weights = {name: weight.detach() for name, weight in model.named_parameters() if weight.requires_grad}
    weights["score.weight"] = torch.randn(1, model.config.d_model, generator=random)
    save_adapter(weights, lora, directory, base="../../models/sft", task_type="SEQ_CLS")


def start(work: Path, method: str, adapter: Path, faults: dict | None = None, **changes: object) -> subprocess.Popen:
    data = "instructions" if method in ("sft", *POLICIES) else "preferences"
    script = "paired" if method in PAIRED else "policy" if method in POLICIES else method
    extra = {"paired": {"loss": method}, "policy": POLICY | {"algorithm": method} | OF_METHOD.get(method, {})}
    settings = SETTINGS | extra.get(script, {})
    scratch = changes.pop("scratch", None)
    adapter.mkdir(exist_ok=True)
    arguments = ["--base", work / "base", f"--{data}", work / data, "--adapter", adapter]
    arguments += ["--reward", work / "reward"] if method == "ppo" else []
    arguments += ["--settings", json.dumps(settings | changes)]
    return subprocess.Popen(
        [sys.executable, "tests/llm/align/faulty.py", script, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "FAULTS": json.dumps(faults or {}), "OMP_NUM_THREADS": "1"}
        | ({"STEMMA_SCRATCH": str(scratch)} if scratch else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def trained(work: Path, method: str, adapter: Path, **changes: object) -> tuple[dict, str]:
    status, out, err = ended(start(work, method, adapter, **changes))
    assert status == 0, err
    return json.loads(out.splitlines()[-1]), err


@pytest.mark.parametrize(
    ("method", "layout"),
    [("dpo", "single"), pytest.param("kto", "ddp2", marks=pytest.mark.thorough)]
    + [
        pytest.param(method, layout, marks=pytest.mark.slow)
        for method in ("sft", "reward", "kto", *PAIRED, *POLICIES)
        for layout in (LAYOUTS if method not in POLICIES else ("single", "ddp2"))
        if (method, layout) not in {("dpo", "single"), ("kto", "ddp2")}
    ],
)
def test_killed_and_resumed_is_never_killed(work: Path, tmp_path: Path, method: str, layout: str) -> None:
    parallel = {"parallel": LAYOUTS[layout]}
    metrics, _ = trained(work, method, tmp_path / "whole", **parallel)
    there = parallel | {"scratch": tmp_path / "scratch"}
    for number, step in enumerate((5, 10)):
        rank = number % LAYOUTS[layout].get("data", 1)
        status, _, err = ended(start(work, method, tmp_path / "killed", {"kill": [rank, step]}, **there))
        assert status != 0, err
    again, err = trained(work, method, tmp_path / "killed", **there)
    assert "going on from step" in err
    assert digests(tmp_path / "killed") == digests(tmp_path / "whole")
    files = {"adapter_config.json", "adapter_model.safetensors", "metrics.parquet"}
    files |= {"rollouts.parquet"} if method in POLICIES else set()
    files |= {"critic.safetensors"} if method == "ppo" else set()
    assert files == digests(tmp_path / "whole").keys()
    same = [name for name in metrics if "loss" in name or name.startswith("held_out")]
    assert same and {name: again[name] for name in same} == {name: metrics[name] for name in same}


@pytest.mark.thorough
def test_sigterm_stops_in_peace(work: Path, tmp_path: Path) -> None:
    trained(work, "sft", tmp_path / "whole")
    process = start(work, "sft", tmp_path / "stopped", {"sleep": 0.5}, scratch=tmp_path / "scratch")
    while not list((tmp_path / "scratch").glob("point-*")):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    status, out, err = ended(process)
    assert (status, out) == (75, ""), err
    assert "run again to go on" in err.splitlines()[-1]
    trained(work, "sft", tmp_path / "stopped", scratch=tmp_path / "scratch")
    assert digests(tmp_path / "stopped") == digests(tmp_path / "whole")


def test_what_cannot_be_laid_out_is_refused_in_one_line(work: Path, tmp_path: Path) -> None:
    for parallel, line in (
        ({"tensor": 2}, "parallel.tensor: unknown key; known are data, sharding, micro_batch"),
        ({"data": 2, "sharding": "full"}, "align.parallel.sharding: full cannot answer prompts"),
        ({"data": 3}, "schedule.batch_size: 4 is not divisible by align.parallel.data: 3; write 6"),
    ):
        status, _, err = ended(start(work, "grpo", tmp_path / "adapter", parallel=parallel))
        assert status == 2
        assert line in err.splitlines()[-1]
