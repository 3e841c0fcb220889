"""Asks a server what its interface promises, by others' tools, each in an environment of its own.

    python -m benchmarks.serve_conformance MODEL --peers DIRECTORY [--examples 40] [--documents 40] [--tools llm-comply]

DIRECTORY/http has schemathesis and llm-comply, DIRECTORY/lmeval lm-eval[api,hf]. schemathesis makes requests of the
OpenAPI page and looks for crashes and for answers that the page does not state; llm-comply checks the shapes of chat.
lm-eval scores a small task of multiple choice by `local-completions`, and by transformers in its own process: log-
likelihoods and so scores must agree.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.serve_load import serving
from llm.model.directory import load_config

TASK = """
task: choices
dataset_path: json
dataset_kwargs:
  data_files: {data}
output_type: multiple_choice
test_split: train
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{answer}}}}"
metric_list:
  - metric: acc
  - metric: acc_norm
"""
TOOLS = ("schemathesis", "llm-comply", "lm-eval")
# Tools, images and reasoning are not here, and a call that names no model is answered by the first.
CHAT = ["basic-response", "system-prompt", "multi-turn", "streaming-response", "streaming-usage"]
NOUNS = ("river", "mountain", "computer", "number", "garden", "letter", "market", "window", "system", "winter")
VERBS = ("is", "has", "makes", "needs", "shows")


def main(options: argparse.Namespace) -> int:
    """Return how many of the tools found something."""
    found = 0
    with serving(options.model) as (url, _), tempfile.TemporaryDirectory() as scratch:
        http = options.peers / "http/bin"
        if "schemathesis" in options.tools:
            command = [http / "schemathesis", "run", f"{url}/openapi.json", "--seed", "1", "--no-color"]
            command += ["--max-examples", str(options.examples), "--request-timeout", "120"]
            command += ["--exclude-checks", "positive_data_acceptance"]  # what fits depends on the model, too
            found += said("schemathesis", command, scratch)
        if "llm-comply" in options.tools:
            command = [http / "llm-comply", "-u", f"{url}/v1", "-k", "none", "-m", "model", "--format", "openai-chat"]
            command += ["-f", ",".join(f"chat-{name}" for name in CHAT)]
            found += said("llm-comply", command, scratch)
        if "lm-eval" in options.tools:
            found += scores_differ(options, url, Path(scratch))
    return found


def said(name: str, command: list, scratch: str) -> bool:
    """Run a tool, print the end of what it says, and return whether it found something."""
    done = subprocess.run(list(map(str, command)), cwd=scratch, capture_output=True, text=True, check=False)
    print(f"== {name}: exit {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-1000:]}", flush=True)
    return done.returncode != 0


def scores_differ(options: argparse.Namespace, url: str, scratch: Path) -> bool:
    """Score one task both ways; print both, and return whether they differ."""
    chance = random.Random(0)
    rows = [
        {
            "question": f"The {chance.choice(NOUNS)} {chance.choice(VERBS)}",
            "choices": [f" a {noun} of the {chance.choice(NOUNS)}." for noun in chance.sample(NOUNS, 4)],
            "answer": chance.randrange(4),
        }
        for _ in range(options.documents)
    ]
    (scratch / "rows.json").write_text("\n".join(map(json.dumps, rows)))
    (scratch / "choices.yaml").write_text(TASK.format(data=scratch / "rows.json"))
    length = load_config(options.model / "config.json").context_length
    local = f"model=model,base_url={url}/v1/completions,tokenizer={options.model},num_concurrent=1,max_length={length}"
    ways = {
        "local-completions": f"{local},tokenized_requests=True",
        "hf": f"pretrained={options.model},dtype=float32,max_length={length}",
    }
    told = {}
    for way, arguments in ways.items():
        command = [options.peers / "lmeval/bin/python", "-m", "lm_eval", "--model", way, "--model_args", arguments]
        command += ["--tasks", "choices", "--include_path", scratch, "--output_path", scratch / way, "--log_samples"]
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(scratch / "hf")}
        done = subprocess.run(
            [*map(str, command), "--batch_size", "1", "--device", "cpu"],
            cwd=scratch,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            print(f"== lm-eval, {way}: {done.stderr[-3000:]}")
            return True
        samples = [json.loads(line) for file in (scratch / way).rglob("*.jsonl") for line in file.open()]
        samples.sort(key=lambda sample: sample["doc_id"])
        told[way] = samples
    pairs = list(zip(*told.values(), strict=True))
    off = max(
        abs(float(one[0][0]) - float(two[0][0]))
        for ours, theirs in pairs
        for one, two in zip(ours["resps"], theirs["resps"], strict=True)
    )
    metrics = ("acc", "acc_norm")
    acc = {way: [sum(each[metric] for each in samples) for metric in metrics] for way, samples in told.items()}
    print(f"== lm-eval: {len(pairs)} documents; right ({', '.join(metrics)}) {acc}; log-likelihoods within {off:.3g}")
    return acc["hf"] != acc["local-completions"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--examples", type=int, default=40)
    parser.add_argument("--documents", type=int, default=40)
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=TOOLS)
    sys.exit(main(parser.parse_args()))
