"""Speed and memory of SFT, DPO and GRPO beside TRL with PEFT: one model, one adapter, the same batches, one thread.

    pip install --no-deps --target DIRECTORY -r benchmarks/trl.txt
    PYTHONPATH=DIRECTORY python -m benchmarks.align [--steps 12] [--only dpo]

Both take each step in turn; CPU seconds are medians over the steps, a ratio is the median of the steps' ratios. The
losses have to agree, or else it is not the same work. TRL's trainer gives the model and `compute_loss`, the loop around
it is plain torch, without logging. DPO is measured with the reference in the loop of both, and with its
log-probabilities computed before in both (`dpo, precomputed`; that time is not counted), GRPO with its rollouts
(benchmarks/align_grpo.py). Peak memory is of a process for each. Exit status 1: slower than the goal (SFT 1.5x, DPO
1.3x, GRPO 2x), or more memory.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks import align_grpo
from benchmarks.align_parity import Peer, plain_step, settings_of
from llm.align import paired
from llm.align.batches import Example, Item, ItemStream, Pair
from llm.align.lora import add_lora, save_adapter
from llm.align.settings.adapter import LoraConfig, Schedule
from llm.align.settings.paired import PairedSettings
from llm.align.sft import SFT
from llm.align.train_adapter import optimizer_of
from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM, initialise
from llm.training.engines.single import SingleEngine

SIZES = {"d_model": 256, "n_layers": 6, "n_heads": 8, "n_kv_heads": 4, "d_head": 32, "d_ff": 768}
CONFIG = ModelConfig(8192, **SIZES, context_length=256, tie_embeddings=True, init="normal")
LORA = LoraConfig()
BATCH, SEEN = 8, 2  # pairs or conversations of a step; steps that are not counted
GOALS = {"sft": 1.5, "dpo": 1.3, "dpo, precomputed": 1.3, "grpo": 2.0}
Step = Callable[[int], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--only", choices=GOALS, help="this one alone")
    parser.add_argument("--alone", choices=("ours", "TRL"), help="for the memory of one: three steps, then the peak")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.alone:
        print(json.dumps(peak(options.only, options.alone)))
        return
    missed = False
    print("| method | CPU s a step | TRL | ratio | goal | peak MB | TRL | |\n|---|---|---|---|---|---|---|---|")
    for method in [options.only] if options.only else GOALS:
        ours, theirs = in_turns(method, options.steps)
        ratio = median(b / a for a, b in zip(ours, theirs, strict=True))
        memory, of_trl = (alone(method, who) for who in ("ours", "TRL"))
        holds = ratio >= GOALS[method] and memory <= of_trl
        missed |= not holds
        print(
            f"| {method} | {median(ours):.2f} | {median(theirs):.2f} | {ratio:.2f}x | {GOALS[method]}x | {memory:.0f} "
            f"| {of_trl:.0f} | {'holds' if holds else 'missed'} |",
            flush=True,
        )
    sys.exit(int(missed))


def in_turns(method: str, steps: int) -> tuple[list[float], list[float]]:
    """Return the CPU seconds of each step of both. Raises SystemExit where a loss differs by more than 1e-3."""
    mine, peer = contenders(method, ("ours", "TRL"), steps)
    times: tuple[list[float], list[float]] = [], []
    for number in range(steps):
        losses = []
        turns = [(mine, times[0]), (peer, times[1])]
        for step, kept in turns if number % 2 else turns[::-1]:
            begin = time.process_time()
            losses.append(step(number))
            kept.append(time.process_time() - begin)
        if method != "grpo" and abs(losses[0] - losses[1]) > 1e-3:  # of answers of their own
            sys.exit(f"{method}: the losses of step {number + 1} are {losses[0]:.4f} and {losses[1]:.4f}")
    return times[0][SEEN:], times[1][SEEN:]


def contenders(method: str, names: tuple[str, ...], steps: int) -> list[Step]:
    """Return what takes a step and returns its loss, of each of these."""
    if method == "grpo":
        return align_grpo.steps_of(names, CONFIG, LORA, steps)
    loss = method.split(",")[0]
    schedule = Schedule(steps=steps, batch_size=BATCH, learning_rate=1e-4, warmup_steps=1)
    told = settings_of(loss, schedule)
    given = items(loss, BATCH * steps)
    if "precomputed" in method:
        assert isinstance(told, PairedSettings)
        told = replace(told, precompute_reference=True)
        given = list(paired.with_references(lambda: initialise(CausalLM(CONFIG), 0), given, told, CONFIG.pad_id))
    stream = ItemStream(given, BATCH, 1, CONFIG.pad_id)
    model = initialise(CausalLM(CONFIG), 0)
    weights = {name: weight.clone() for name, weight in model.state_dict().items()}
    add_lora(model, LORA, 0)
    found = []
    for name in names:
        if name == "ours":
            kind = SFT if loss == "sft" else paired.METHODS["dpo"]
            engine = SingleEngine(kind.objective(model, told), optimizer_of(schedule))
            found.append(partial(our_step, engine, stream, schedule))
            continue
        with tempfile.TemporaryDirectory() as directory:
            adapter = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
            save_adapter(adapter, LORA, Path(directory), base="base")
            peer = Peer(loss, weights, Path(directory), schedule, CONFIG, LORA)
        known = references(peer, stream, steps) if "precomputed" in method else None
        found.append(partial(their_step, peer, stream, schedule, known))
    return found


def our_step(engine: SingleEngine, stream: ItemStream, schedule: Schedule, number: int) -> float:
    loss, norm = engine.gradients(partial(stream.rows, BATCH * number), BATCH)
    engine.update(schedule.factor(number + 1), norm)
    return loss


def their_step(peer: Peer, stream: ItemStream, schedule: Schedule, given: list | None, number: int) -> float:
    inputs = peer.inputs(stream.rows(BATCH * number, 0, BATCH)) | (given[number] if given else {})
    loss = peer.trainer.compute_loss(peer.model, inputs)
    plain_step(peer.optimizer, loss, schedule.learning_rate * schedule.factor(number + 1))
    return loss.item()


def references(peer: Peer, stream: ItemStream, steps: int) -> list[dict]:
    """Return the reference's log-probabilities of every step's batch, and make TRL's trainer take them as given."""
    found = []
    for number in range(steps):
        batch = stream.rows(BATCH * number, 0, BATCH)
        with torch.no_grad():
            chosen, rejected = peer.trainer.compute_ref_log_probs(peer.model, peer.inputs(batch))
        found.append({"ref_chosen_logps": chosen, "ref_rejected_logps": rejected})
    peer.trainer.precompute_ref_logps = True
    return found


def items(method: str, count: int) -> list[Item]:
    """Conversations, or pairs, of 40 to 128 random tokens, about half of them the prompt's."""
    random = np.random.Generator(np.random.PCG64(0))

    def example(prompt: np.ndarray) -> Example:
        answer = random.integers(8, CONFIG.vocab_size, int(random.integers(20, 64)))
        return Example(np.concatenate((prompt, answer)), np.arange(len(prompt) + len(answer)) >= len(prompt), "random")

    found: list[Item] = []
    for _ in range(count):
        prompt = random.integers(8, CONFIG.vocab_size, int(random.integers(20, 64)))
        found.append(example(prompt) if method == "sft" else Pair(example(prompt), example(prompt), "random"))
    return found


def peak(method: str, who: str) -> float:
    """Return the peak memory in MB of three steps of one of them, in this process."""
    (step,) = contenders(method, (who,), 3)
    for number in range(3):
        step(number)
    status = Path("/proc/self/status").read_text()  # getrusage's peak is that of whoever started this process, too
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def alone(method: str, who: str) -> float:
    """Return the same of a process of its own."""
    command = [sys.executable, "-m", "benchmarks.align", "--only", method, "--alone", who]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
