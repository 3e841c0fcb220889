"""GRPO on a task of reasoning-gym, whose own scorer is the reward: does it raise the score of tasks that it never saw?

    pip install --no-deps --target DIRECTORY -r benchmarks/gym.txt
    PYTHONPATH=DIRECTORY python -m benchmarks.align_gym --work WORK [--seeds 0 1 2]
    PYTHONPATH=DIRECTORY python -m benchmarks.align_gym --jsonl WORK
    PYTHONPATH=DIRECTORY python -m benchmarks.align_gym --work WORK --model results/models/base

The task is to spell a word of three or four letters backward. A small model of bytes is first trained on the questions
and answers of other words for so few steps that it is often wrong (kept in WORK); then it answers, and learns from the
scores alone. No word is in two of the three sets. --jsonl writes sums of two digits, for a model of a run, with their
answers, as `align.sft.data` and `align.grpo.prompts` take them. --model: on those sums, by a model of one's own
and what presets/reasoning-gym.yaml says, SFT once and GRPO by each seed; what is done is kept in WORK. Exit status 1
where the mean of the held-out scores (of the words: each seed's) does not rise by two standard errors.
"""

import argparse
import json
import math
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from safetensors.torch import load_file, save_file

from llm.align.conversations import read_examples
from llm.align.prompts import Prompt
from llm.align.records import write_jsonl
from llm.align.rollouts import Rollouts
from llm.align.settings.adapter import AdapterSettings, LoraConfig, Schedule
from llm.align.settings.policy import PolicySettings
from llm.align.sft import SFT
from llm.align.train_adapter import train_adapter
from llm.align.train_policy import PolicyJob, learn, train_policy
from llm.command import Surroundings
from llm.io.json import write_json
from llm.model.config import ModelConfig
from llm.model.directory import WEIGHTS_NAME
from llm.model.transformer import CausalLM, initialise
from llm.package.settings import PackageSettings
from llm.runtime.agreement import Ranks
from llm.training.guards import Blame
from llm.training.segment import Task
from scripts.package.merge import main as merge

BOS, EOS, PAD, USER, ASSISTANT, FIRST = 1, 2, 3, 6, 7, 8
CONFIG = ModelConfig(
    vocab_size=FIRST + 256, d_model=96, n_layers=4, n_heads=4, n_kv_heads=4, d_head=24, d_ff=256, context_length=80
)
LONGEST = 6  # bytes of an answer
SHOWN, TRAINING, HELD_OUT = 3000, 1000, 64  # words
SUMS_HELD_OUT = 40
PRESET = Path(__file__).resolve().parents[1] / "presets/reasoning-gym.yaml"
STEPS, BATCH, RATE, PIECE = 400, 48, 2e-3, 50


class Bytes:
    """Ids FIRST ... FIRST + 255 are bytes."""

    eos = EOS

    def decode(self, ids: list[int]) -> str:
        return bytes(max(0, i - FIRST) for i in ids).decode("latin-1")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path)
    parser.add_argument("--jsonl", type=Path)
    parser.add_argument("--model", type=Path, help="a model's directory")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    options = parser.parse_args()
    if options.jsonl:
        write_sums(options.jsonl)
        return
    if options.model:
        torch.set_num_threads(1)
        sys.exit(int(not raised(options.model, options.work, options.seeds)))
    score, shown, training, held_out = tasks()
    torch.set_num_threads(1)
    weights = options.work / "base" / WEIGHTS_NAME
    weights.parent.mkdir(parents=True, exist_ok=True)
    if not weights.is_file():
        save_file(base_of(shown), weights)
    missed = False
    for seed in options.seeds:
        found = trained(weights, score, training, held_out, seed, options.work / f"seed{seed}")
        before, after = found["reward_before"], found["reward"]
        error = math.hypot(found["reward_error"], found["reward_error_before"])
        missed |= after - before < 2 * error
        print(
            f"seed {seed}: held-out score {before:.3f} to {after:.3f} (difference's standard error {error:.3f}), whole "
            f"answers right {found['reward_right_before']:.3f} to {found['reward_right']:.3f}, "
            f"{found['kl_per_token']:.3f} nats a token",
            flush=True,
        )
    sys.exit(int(missed))


def tasks():  # noqa: ANN201
    """Return the scorer, and the rows of the three sets; each word is in one of them."""
    import reasoning_gym

    dataset = reasoning_gym.create_dataset("spell_backward", size=12_000, seed=7, min_word_len=3, max_word_len=4)
    rows = {row["metadata"]["word"].lower(): row for row in dataset}
    order = [rows[word] for word in sorted(rows)]
    np.random.Generator(np.random.PCG64(7)).shuffle(order)
    cuts = [SHOWN, SHOWN + TRAINING, SHOWN + TRAINING + HELD_OUT]
    return dataset.score_answer, order[: cuts[0]], order[cuts[0] : cuts[1]], order[cuts[1] : cuts[2]]


def write_sums(directory: Path) -> None:
    """Write sums and differences of two digits, none in both files. A row is a conversation, for SFT, and a prompt with
    the answer that `exact` wants."""
    import reasoning_gym

    kind = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
    found = {
        row["question"]: row["answer"] for row in reasoning_gym.create_dataset("chain_sum", size=3000, seed=7, **kind)
    }
    rows = [{"prompt": prompt, "completion": answer, "answer": answer} for prompt, answer in found.items()]
    directory.mkdir(parents=True, exist_ok=True)
    write_jsonl(directory / "train.jsonl", rows[SUMS_HELD_OUT:])
    write_jsonl(directory / "validation.jsonl", rows[:SUMS_HELD_OUT])


def raised(model: Path, work: Path, seeds: Sequence[int]) -> bool:
    """Teach a model the sums' form by SFT, and let it learn from `exact` by GRPO. Does the held-out score rise?"""
    told = yaml.safe_load(PRESET.read_text())["align"]
    rows, taught = work / "sums", work / "taught"
    if not rows.is_dir():
        write_sums(rows)
    if not taught.is_dir():
        settings = AdapterSettings(schedule=Schedule(**told["sft"]["schedule"]), seed=seeds[0])
        adapter = emptied(work / "sft")
        train_adapter(SFT, read_examples, model, rows, adapter, model.name, settings, Surroundings())
        merge(model, adapter, emptied(work / "merging"), settings=PackageSettings())
        (work / "merging").rename(taught)
    gains, errors = [], []
    for seed in seeds:
        found, seconds = by_grpo(taught, rows, told["grpo"], seed, work / f"grpo{seed}")
        before, after = found["reward_exact_before"], found["reward_exact"]
        own = found["reward_exact_error_before"], found["reward_exact_error"]
        errors.append(math.hypot(*own))
        gains.append(after - before)
        print(
            f"seed {seed}: held-out answers right {before:.3f} ± {own[0]:.3f} to {after:.3f} ± {own[1]:.3f}, "
            f"{found['kl_per_token']:.3f} nats a token, {seconds:.0f} CPU s",
            flush=True,
        )
    by, own = fmean(gains), math.hypot(*errors) / len(errors)
    apart = stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else 0.0
    print(f"gain {by:.3f} ± {own:.3f} by the answers, ± {apart:.3f} by how far the seeds lie apart")
    return by > 2 * max(own, apart)


def by_grpo(base: Path, rows: Path, told: dict, seed: int, work: Path) -> tuple[dict, float]:
    """Return the metrics of a seed and its CPU seconds, as they stand in `work`, or learned now."""
    file = work.with_suffix(".json")
    if not file.is_file():
        keys = {name: value for name, value in told.items() if name not in ("prompts", "schedule")}
        settings = PolicySettings(algorithm="grpo", schedule=Schedule(**told["schedule"]), seed=seed, **keys)
        began = time.process_time()
        found = train_policy(base, rows, emptied(work), None, None, base.name, settings, Surroundings())
        write_json(file, found | {"cpu_seconds": time.process_time() - began})
    kept = json.loads(file.read_text())
    return kept, kept["cpu_seconds"]


def emptied(directory: Path) -> Path:
    """Return a directory with nothing of a call that was cut off."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def ids_of(row: dict) -> list[int]:
    return [BOS, USER, *(byte + FIRST for byte in row["question"].encode("latin-1")), ASSISTANT]


def base_of(rows: list[dict]) -> dict[str, torch.Tensor]:
    """Train a model from nothing on questions and answers."""
    model = initialise(CausalLM(CONFIG), 0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.95), weight_decay=0.01)
    for step, (tokens_BT, mask_BT) in zip(range(1, STEPS + 1), batches(rows), strict=False):
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, step / 30)
        logits_BTV = model(tokens_BT[:, :-1])
        loss = F.cross_entropy(logits_BTV[mask_BT[:, 1:]], tokens_BT[:, 1:][mask_BT[:, 1:]])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % PIECE == 0:
            print(f"base, step {step}: {loss.item():.3f} nats a token", flush=True)
    return {name: weight.detach().clone() for name, weight in model.state_dict().items()}


def batches(rows: list[dict]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    random = np.random.Generator(np.random.PCG64(1))
    while True:
        some = [rows[number] for number in random.integers(len(rows), size=BATCH)]
        texts = [(ids_of(row), [*(b + FIRST for b in row["answer"].encode("latin-1")), EOS]) for row in some]
        longest = max(len(question) + len(answer) for question, answer in texts)
        tokens_BT = torch.full((BATCH, longest), PAD)
        mask_BT = torch.zeros(BATCH, longest, dtype=torch.bool)
        for place, (question, answer) in enumerate(texts):
            end = len(question) + len(answer)
            tokens_BT[place, :end] = torch.tensor(question + answer)
            mask_BT[place, len(question) : end] = True
        yield tokens_BT, mask_BT


def trained(weights: Path, score, training: list[dict], held_out: list[dict], seed: int, output: Path) -> dict:  # noqa: ANN001
    """Train by GRPO; return the metrics."""

    def gym(prompt: str, answer: str, row: dict) -> float:
        return score(answer, row)

    def right(prompt: str, answer: str, row: dict) -> float:
        return float(score(answer, row) == 1.0)

    def load() -> CausalLM:
        model = CausalLM(CONFIG).eval()
        model.load_state_dict(load_file(weights), strict=False)
        return model

    schedule = Schedule(steps=40, batch_size=8, learning_rate=2e-3, warmup_steps=2)
    settings = PolicySettings(
        algorithm="grpo", schedule=schedule, seed=seed, dtype="float32", lora=LoraConfig(16, 32), max_tokens=80,
        rewards={"gym": 1.0, "right": 0.0}, samples=8, max_new_tokens=LONGEST, kl_coef=0.01, held_out=HELD_OUT,
        kl_bound=5.0,
    )  # fmt: skip
    prompts = [[Prompt(ids_of(row), row["question"], row, "all") for row in rows] for rows in (training, held_out)]
    output.mkdir(parents=True)
    job = PolicyJob(
        task=Task(settings, None, "gym", Blame("grpo", "lower the rate")), output=output,
        scratch=output.with_suffix(".scratch"), logs=None, deadline=math.inf, hang_seconds=0, base=weights.parent,
        data=Path(), base_name="base", functions=None, reward=None,
    )  # fmt: skip
    rewards = {"gym": gym, "right": right}
    rollouts = Rollouts(*prompts, settings, rewards, Bytes(), PAD, Ranks(0, 1), job.scratch / "rollouts")
    return learn(job, CONFIG, load, rollouts)


if __name__ == "__main__":
    main()
