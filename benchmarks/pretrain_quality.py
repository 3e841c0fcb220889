"""Bits per byte at equal tokens beside a nanoGPT-style loop, and what Snakemake costs a training step.

Both on the default corpus' tokens, made by the real rules in a directory of the caller's (some minutes, once).
"""

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import torch
import yaml

from benchmarks.nanogpt import GPT, GPTSizes, adamw, update
from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM, initialise
from llm.pretrain.data import TokenStream
from llm.pretrain.evaluate import ValidationSet, bits_per_byte
from llm.pretrain.next_token import NextToken
from llm.pretrain.segments import schedule_of
from llm.pretrain.settings import Schedule
from llm.runtime.malloc import keep_freed_memory
from llm.training.engines.single import SingleEngine
from llm.training.settings import OptimizerSettings
from stemma.base.settings import ROOT
from stemma.provenance.slsa import record_in

STEPS = 500
RATES = (1e-3, 3e-3)  # of the nanoGPT-style loop: its own for small models, and one that is better here
OVERHEAD_STEPS, OVERHEAD_ROUNDS = 40, 3


def quality(directory: Path) -> bool:
    """Prints bits per byte by domain; True if ours is above the peer's best."""
    tokens, plan = built(directory)
    section = yaml.safe_load((ROOT / "config.yaml").read_text())
    config = ModelConfig.from_section(section["model"], section["tokenizer"]["vocab_size"])
    names = {"ours": None} | {f"nanoGPT-style, rate {rate:g}": rate for rate in RATES}
    work = partial(scored, config, section["pretrain"], tokens, plan)
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        found = dict(zip(names, pool.map(work, names.values()), strict=True))
    print(
        f"\nbits per byte after {STEPS} steps of {section['pretrain']['batch_size']} x {config.context_length} tokens\n"
    )
    domains = list(found["ours"]["by_domain"])
    print(f"| | all | {' | '.join(domains)} |\n|---|---|{'---|' * len(domains)}")
    for name, result in found.items():
        cells = [result["bpb"], *result["by_domain"].values()]
        print(f"| {name} | {' | '.join(f'{cell:.3f}' for cell in cells)} |")
    best = min(result["bpb"] for name, result in found.items() if name != "ours")
    missed = found["ours"]["bpb"] > best
    print(f"\nat or below the nanoGPT-style loop: {'missed' if missed else 'holds'}", flush=True)
    return missed


def scored(config: ModelConfig, pretrain: dict, tokens: Path, plan: Path, rate: float | None) -> dict:
    """Bits per byte of the nanoGPT-style loop at this rate, of ours without one. One thread."""
    torch.set_num_threads(1)
    keep_freed_memory()
    if rate is None:
        losses = our_model(config, pretrain, tokens, plan).scores
    else:
        losses = partial(peer_losses, peer_model(config, pretrain["batch_size"], rate, tokens, plan))
    return bits_per_byte(losses, config, ValidationSet(tokens), None)


def our_model(config: ModelConfig, pretrain: dict, tokens: Path, plan: Path) -> SingleEngine:
    """The default config's run, made shorter: its decay over the same share of the steps."""
    decay = pretrain["decay_steps"] * STEPS // pretrain["steps"]
    schedule = Schedule(**schedule_of(pretrain | {"steps": STEPS, "decay_steps": decay}, STEPS))
    rates = pretrain["learning_rate"], pretrain["matrix_learning_rate"]
    settings = OptimizerSettings(pretrain["optimizer"], *rates, pretrain["weight_decay"], beta2=pretrain["beta2"])
    engine = SingleEngine(NextToken(initialise(CausalLM(config), 1), torch.bfloat16), settings)
    stream = TokenStream(tokens, plan, config.context_length, config.vocab_size, 1)
    batch = pretrain["batch_size"]
    for step in range(STEPS):
        _, norm = engine.gradients(partial(stream.rows, step * batch), batch)
        engine.update(schedule.factor(step + 1), norm)
    return engine


def peer_model(config: ModelConfig, batch: int, rate: float, tokens: Path, plan: Path) -> GPT:
    """nanoGPT's usual settings: cosine from a warm-up of 100 steps to a tenth, AdamW, clipping at 1."""
    torch.manual_seed(1)
    model = GPT(GPTSizes(config.vocab_size, config.d_model, config.n_layers, config.n_heads, config.context_length))
    optimizer = adamw(model, rate)
    stream = TokenStream(tokens, plan, config.context_length, config.vocab_size, 1)
    schedule = Schedule(kind="cosine", warmup_steps=100, decay_from=100, steps=STEPS, final_fraction=0.1)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = rate * schedule.factor(step + 1)
        update(model, optimizer, stream.rows(step * batch, 0, batch))
    return model


def peer_losses(model: GPT, tokens_BT: torch.Tensor) -> torch.Tensor:
    """-ln p of every target, fp32 [B * T]."""
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        logits = model(tokens_BT[:, :-1]).float().log_softmax(-1)
    return -logits.gather(-1, tokens_BT[:, 1:, None]).flatten()


def overhead(directory: Path) -> bool:
    """Prints the step's time under Snakemake and in a bare loop, in turns; True if they are 3% apart."""
    tokens, plan = built(directory)
    times: dict[str, list[float]] = {"bare": [], "Snakemake": []}
    for turn in range(OVERHEAD_ROUNDS):
        # Another rate each time, so that the store does not answer.
        times["Snakemake"].append(under_snakemake(directory, 0.01 + 1e-5 * turn + 1e-12 * time.time()))
        times["bare"].append(bare(tokens, plan))
    ratio = statistics.median(a / b for a, b in zip(times["Snakemake"], times["bare"], strict=True))
    shown = ", ".join(f"{name} {statistics.median(seconds) * 1e3:.1f} ms" for name, seconds in times.items())
    missed = abs(ratio - 1) > 0.03
    print(f"\na step of the default config: {shown}; median of ratios {ratio:.3f}: {'missed' if missed else 'holds'}")
    return missed


def under_snakemake(directory: Path, rate: float) -> float:
    """Median seconds of a step, as the job's record states it."""
    steps = OVERHEAD_STEPS
    overlay = directory / "overhead.yaml"
    pretrain = {"steps": 2 * steps, "checkpoint_every": steps, "decay_steps": steps, "learning_rate": rate}
    overlay.write_text(yaml.safe_dump({"pretrain": pretrain | {"validation_tokens": 1000}}))
    target = f"results/pretrain/step-{steps}/manifest.json"
    snakemake(directory, target, "--configfile", str(overlay.resolve()))
    show = [sys.executable, "-m", "stemma", "show", target]
    shown = subprocess.run(show, cwd=directory, capture_output=True, text=True, check=True)
    return record_in(json.loads(shown.stdout)).metrics["step_seconds"]


def bare(tokens: Path, plan: Path) -> float:
    """Median seconds of a step of the bare loop, in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("pretrain_work.py")), "ours, Muon", "d128", tokens, plan]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": str(ROOT)}
    turns = f"2\n{OVERHEAD_STEPS}\n"
    done = subprocess.run(command, input=turns, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])["median"]


def built(directory: Path) -> tuple[Path, Path]:
    """Token shards and plan of the default config in that directory."""
    manifest, plan = "results/tokens/manifest.json", "results/mix/plan.parquet"
    if not (directory / manifest).exists() or not (directory / plan).exists():
        snakemake(directory, manifest, plan)
    return directory / "results/tokens", directory / plan


def snakemake(directory: Path, *targets: str) -> None:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    command += ["--profile", str(ROOT / "profiles/default"), "--directory", str(directory), *targets]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"error: snakemake {' '.join(targets)}: {done.stderr.strip()[-2000:]}")
