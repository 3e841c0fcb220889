"""Does each method of alignment move its own metric beyond the noise, on a model of a run, over three seeds?

    snakemake --configfile presets/smollm2.yaml
    python -m benchmarks.align_moves --model results/models/base --clean results/clean --work WORK [--only dpo kto]

SFT: the held-out loss. Reward model: the accuracy on held-out pairs. Losses on pairs: that of their implicit rewards;
KTO's is how often a good answer's is above zero and a bad one's is not. Policy gradients: the reward of answers to
held-out prompts. Every adapter is trained by the function that its script calls, and measured before the first step and
after the last.

Answers are the definitions of a source (--source). Each seed deals them out anew, so that three seeds are three draws
of training items, held-out items, adapters and random numbers. A seed's error is of its own held-out items: of each
item's difference, or of a policy's answers before and after. A method moves where the mean of the seeds' gains is above
two standard errors, by the larger of both: that of the seeds' errors, and that of how far the seeds lie apart. What was
measured is kept in WORK, which a second call goes on from. Exit status 1 where a method does not move.
"""

import argparse
import json
import math
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from llm.align.conversations import read_examples, read_labelled, read_pairs
from llm.align.instructions import instruction_pairs
from llm.align.kto import KTO
from llm.align.method import Method, hits_of, scored
from llm.align.paired import METHODS
from llm.align.preferences import preference_pairs
from llm.align.records import mean, standard_error, write_jsonl
from llm.align.reward import REWARD
from llm.align.settings.adapter import AdapterSettings, Schedule
from llm.align.settings.instructions import InstructionSettings
from llm.align.settings.kto import KtoSettings
from llm.align.settings.paired import PairedSettings
from llm.align.settings.policy import PolicySettings
from llm.align.sft import SFT
from llm.align.train_adapter import Read, train_adapter
from llm.align.train_policy import train_policy
from llm.command import Surroundings
from llm.io.json import write_json
from llm.training.engine import Engine

RATE, WARMUP, MAX_TOKENS = 2e-4, 2, 128
TRAINING, HELD_OUT = 160, 48  # conversations, or pairs, of a seed
PROMPTS = 24  # of the held-out ones, answered
FAULTS = ("irrelevant", "shuffled", "truncated", "rambling")  # one in four of the pairs each
ANSWER = 200  # characters
BEYOND = 2.0  # standard errors


@dataclass(frozen=True)
class Row:
    """A row of the table. metric: in words. batch: items of a step, or prompts. better: +1 where more is better."""

    metric: str
    steps: int
    batch: int
    better: int = 1
    rate: float = RATE

    @property
    def schedule(self) -> Schedule:
        warmup = min(WARMUP, self.steps - 1)
        return Schedule(steps=self.steps, batch_size=self.batch, learning_rate=self.rate, warmup_steps=warmup)


IMPLICIT = "accuracy of implicit rewards"
REWARDED = "reward of answers"
ROWS = {
    "sft": Row("held-out loss, nats a token", 12, 8, better=-1),
    "reward": Row("accuracy on held-out pairs", 24, 8),
    "dpo": Row(IMPLICIT, 12, 4),
    "ipo": Row(IMPLICIT, 12, 4),
    "simpo": Row(IMPLICIT, 12, 4),
    "orpo": Row(IMPLICIT, 12, 4),
    "kto": Row(IMPLICIT, 12, 8),
    "grpo": Row(REWARDED, 20, 2),
    "rloo": Row(REWARDED, 20, 2),
    "ppo": Row(REWARDED, 20, 2),
}
POLICIES = ("grpo", "rloo", "ppo")


@dataclass(frozen=True)
class Found:
    """What a seed gave. error: of the gain. apart: nats a token from the reference, of a policy."""

    before: float
    after: float
    error: float
    seconds: float
    apart: float | None = None


class Watched:
    """A method's evaluation by its own metric, which keeps the value of each item, call by call."""

    def __init__(self, values) -> None:  # noqa: ANN001 (columns of scores -> [items])
        self.values = values
        self.calls: list[Tensor] = []

    def __call__(self, engine: Engine, items: Sequence, pad: int) -> dict:
        _, columns = scored(engine, items, pad)
        self.calls.append(self.values(columns))
        return {"value": mean(self.calls[-1].tolist())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a model's directory")
    parser.add_argument("--clean", type=Path, required=True, help="clean shards")
    parser.add_argument("--source", default="jargon", help="of them, whose documents are definitions")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    missed = False
    print("| | CPU s a seed | its metric | before | after, by seed | gain | moves |\n|---|---|---|---|---|---|---|")
    for name in options.only:
        found = [
            kept(name, seed, options.model, options.clean / options.source, options.work) for seed in options.seeds
        ]
        missed |= not moves(ROWS[name], found)
        print(line(name, ROWS[name], found), flush=True)
    sys.exit(int(missed))


def kept(name: str, seed: int, model: Path, source: Path, work: Path) -> Found:
    """Return what a method gives with a seed: as it stands in `work`, or measured and written there. source: its clean
    shards."""
    file = work / f"{name}-{seed}.json"
    if file.is_file():
        return Found(**json.loads(file.read_text()))
    data = work / f"data-{seed}"
    if not data.is_dir():
        deal(source, seed, data)
    adapter = work / f"{name}-{seed}"
    shutil.rmtree(adapter, ignore_errors=True)  # of a call that was cut off
    adapter.mkdir()
    began = time.process_time()
    found = (policy if name in POLICIES else items)(name, seed, model, data, adapter)
    found = replace(found, seconds=time.process_time() - began)
    write_json(file, vars(found))
    return found


def deal(source: Path, seed: int, data: Path) -> None:
    """Write a seed's instructions and preferences."""
    asked = InstructionSettings(
        kinds={"definition": [source.name]},
        train_counts={"definition": 10_000},
        validation_counts={"definition": 0},
        seed=0,
    )
    pool = [
        row for row in instruction_pairs(source.parent, "train", asked.train_counts, asked) if length(row) <= ANSWER
    ]
    np.random.Generator(np.random.PCG64(seed)).shuffle(pool)
    counts = {"validation": HELD_OUT, "train": TRAINING}
    cut = max(HELD_OUT, len(pool) // 4)
    for split, rows in (("validation", pool[:cut]), ("train", pool[cut:])):
        faults = dict.fromkeys(FAULTS, counts[split] // len(FAULTS))
        for kind, told in (
            ("instructions", rows[: counts[split]]),
            ("preferences", preference_pairs(rows, faults, 2 * ANSWER, seed)),
        ):
            (data / kind).mkdir(parents=True, exist_ok=True)
            write_jsonl(data / kind / f"{split}.jsonl", told)


def length(row: dict) -> int:
    return len(row["messages"][-1]["content"])


def items(name: str, seed: int, model: Path, data: Path, adapter: Path) -> Found:
    """Train by a method on given answers."""
    method, read, values = of_items(name)
    watched = Watched(values)
    train_adapter(
        replace(method, evaluate=watched, measured_before=("value",)),
        read,
        model,
        data / ("instructions" if name == "sft" else "preferences"),
        adapter,
        model.name,
        settings_of(name, seed),
        Surroundings(),
    )
    before, after = watched.calls
    return Found(mean(before.tolist()), mean(after.tolist()), standard_error((after - before).tolist()), 0.0)


def of_items(name: str):  # noqa: ANN201 (Method, Read, of columns the metric of each item)
    """Return a method, how its files are read, and its own metric of each item, of the columns of its scores."""
    known: dict[str, tuple[Method, Read, object]] = {
        "sft": (SFT, read_examples, lambda columns: -columns[0] / columns[1]),
        "kto": (KTO, read_labelled, lambda columns: ((columns[0] > 0) == (columns[1] > 0)).double()),
    }
    pairs = {"reward": REWARD, **METHODS}
    return known.get(name) or (pairs[name], read_pairs, lambda columns: hits_of(columns[1], columns[2]))


def settings_of(name: str, seed: int) -> AdapterSettings:
    """Return the slice of a method on given answers, as the config's defaults have it but for the schedule."""
    told = {"schedule": ROWS[name].schedule, "seed": seed, "max_tokens": MAX_TOKENS}
    kinds = {"kto": KtoSettings, "simpo": partial(PairedSettings, loss=name, beta=2.0, margin=1.0)}
    kinds |= {loss: partial(PairedSettings, loss=loss) for loss in METHODS if loss != "simpo"}
    return kinds.get(name, AdapterSettings)(**told)


def policy(name: str, seed: int, model: Path, data: Path, adapter: Path) -> Found:
    """Train by a policy gradient: short answers that begin and end like sentences are rewarded."""
    settings = PolicySettings(
        algorithm=name, schedule=ROWS[name].schedule, seed=seed, max_tokens=MAX_TOKENS,
        rewards={"sentence": 1.0, "brevity": 1.0, "variety": 0.0}, samples=8, max_new_tokens=24, held_out=PROMPTS,
    )  # fmt: skip
    found = train_policy(model, data / "instructions", adapter, None, None, model.name, settings, Surroundings())
    error = math.hypot(found["reward_error_before"], found["reward_error"])
    return Found(found["reward_before"], found["reward"], error, 0.0, found["kl_per_token"])


def gain(row: Row, found: Sequence[Found]) -> tuple[float, float]:
    """Return the mean gain of the seeds, and its standard error: the larger of that by their own errors, and of that by
    how far they lie apart."""
    gains = [row.better * (each.after - each.before) for each in found]
    own = math.hypot(*(each.error for each in found)) / len(found)
    return mean(gains), max(own, standard_error(gains))


def moves(row: Row, found: Sequence[Found]) -> bool:
    by, error = gain(row, found)
    return by > BEYOND * error


def line(name: str, row: Row, found: Sequence[Found]) -> str:
    """Return a row of the table in Markdown."""
    by, error = gain(row, found)
    before, after, errors = (
        ", ".join(f"{getattr(each, what):.2f}" for each in found) for what in ("before", "after", "error")
    )
    apart = [each.apart for each in found if each.apart is not None]
    far = f", {mean(apart):.3f} nats a token away" if apart else ""
    return (
        f"| {name}, {row.steps} steps of {row.batch} | {mean(each.seconds for each in found):.0f} | {row.metric} "
        f"| {before} | {after} (± {errors}) | {by:.3f} ± {error:.3f}{far} | {'yes' if moves(row, found) else 'no'} |"
    )


if __name__ == "__main__":
    main()
