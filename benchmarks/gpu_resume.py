"""One run of pretraining for benchmarks/gpu.py's part `resume`: goes on from what a killed one left.

    python -m benchmarks.gpu_resume DIRECTORY [--device cuda] [--mode deterministic|free] [--kill-at STEP]

The last line of stdout is JSON: sha256 of the checkpoint's files, and the median of the steps' seconds.
"""

import argparse
import hashlib
import json
import math
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.gpu_bench import GPT2, TINY, SeededStream, median, settings
from llm.model.transformer import CausalLM, initialise
from llm.pretrain.next_token import NextToken
from llm.pretrain.settings import Schedule, SegmentSettings
from llm.runtime.agreement import Ranks
from llm.runtime.determinism import set_determinism
from llm.runtime.stopping import Stopping
from llm.training.engines.single import SingleEngine
from llm.training.guards import Blame
from llm.training.recovery import Recovery
from llm.training.segment import Segment, Task

STEPS, EVERY = 20, 5
MODEL = replace(GPT2, n_layers=4, vocab_size=16384)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--mode", choices=("deterministic", "free"), default="deterministic")
    parser.add_argument("--kill-at", type=int, default=0)
    options = parser.parse_args()
    set_determinism(options.mode == "deterministic")
    config, batch = (TINY, 4) if options.device == "cpu" else (MODEL, 16)

    def build() -> SingleEngine:
        model = initialise(CausalLM(config), 0).to(options.device)
        return SingleEngine(NextToken(model, torch.bfloat16), settings("muon"))

    schedule = Schedule(kind="wsd", warmup_steps=5)
    of_run = vars(settings("muon")) | {"batch_size": batch, "schedule": schedule, "recovery_every": EVERY}
    task = Task(
        SegmentSettings(start=0, stop=STEPS, validation_tokens=None, seed=0, **of_run),
        None,
        "",
        Blame("the run", "lower the rate"),
    )
    stream = SeededStream(config.vocab_size, config.context_length)
    ranks = Ranks(0, 1)
    recovery = Recovery(options.directory / "scratch", "the benchmark's run", ranks)
    seconds = []
    with Stopping(math.inf) as stopping:
        segment = Segment(task, build, stream, ranks, recovery, "benchmark")
        begun = time.perf_counter()
        for metrics in segment.steps(stopping, 0.0):
            seconds.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            if metrics.step == options.kill_at:
                recovery.wait()  # so that there is something to go on from
                os.kill(os.getpid(), signal.SIGKILL)
        checkpoint = options.directory / "checkpoint"
        checkpoint.mkdir(parents=True)
        segment.save(checkpoint)
    recovery.close()
    print(json.dumps({"sha256": digest(checkpoint), "step_seconds": median(seconds)}))


def digest(directory: Path) -> str:
    """Of all files, by name."""
    found = hashlib.sha256()
    for path in sorted(directory.iterdir()):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()


if __name__ == "__main__":
    main()
