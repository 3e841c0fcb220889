"""Multiple-choice tasks of the suite beside lm-eval's figures, on the same Hugging Face directory.

    pip install --no-deps --target DIRECTORY -r benchmarks/lm_eval.txt
    PYTHONPATH=DIRECTORY python -m benchmarks.eval_parity results/models/sft

lm-eval reads the directory through transformers, with its own tokenizer files, and the items as a task of its own from
a JSON file. Compared are the log-likelihood of every choice and the accuracies, in all and per byte. Exit status 1
where a likelihood is off by more than 1e-3 nats or an accuracy differs.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
import yaml

from llm.evaluate.read_suite import read_suite
from llm.evaluate.suite import Task
from llm.evaluate.tasks import asked, likelihoods
from llm.inference.engine import Engine
from llm.model.directory import load_model
from llm.tokenize.open import AnyTokenizer, open_tokenizer

SUITE = Path(__file__).resolve().parents[1] / "evaluation/suite.yaml"
BOUND = 1e-3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--suite", type=Path, default=SUITE)
    options = parser.parse_args()
    torch.set_num_threads(1)
    suite = read_suite(options.suite, lambda source: Path(source), 1)
    tasks = [replace(task, asked="text") for task in suite.tasks if task.kind == "choice"]
    theirs = by_lm_eval(options.model, tasks)
    engine, tokenizer = Engine(load_model(options.model)), open_tokenizer(options.model)
    wrong = [task.name for task in tasks if differs(task, theirs[task.name], engine, tokenizer)]
    sys.exit(int(bool(wrong)))


def differs(task: Task, theirs: dict, engine: Engine, tokenizer: AnyTokenizer) -> bool:
    """Print a line of a task, and say whether the two disagree."""
    ours = likelihoods(engine, tokenizer, task)
    off = max(
        abs(a - b) for one, two in zip(ours, theirs["likelihoods"], strict=True) for a, b in zip(one, two, strict=True)
    )
    said = {}
    for name, per_byte in (("acc", False), ("acc_norm", True)):
        found = asked(engine, tokenizer, replace(task, per_byte=per_byte))
        said[name] = found["accuracy"]["value"], theirs[name]
    print(f"{task.name:10} likelihoods differ by at most {off:.1e} nats; ours and lm-eval's: {said}", flush=True)
    return off > BOUND or any(abs(a - b) > 1e-9 for a, b in said.values())


def by_lm_eval(model: Path, tasks: list[Task]) -> dict[str, dict]:
    """Return of each task {"likelihoods": of the choices of each question, "acc", "acc_norm"}."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        for task in tasks:
            items = [{"prompt": q.prompt, "choices": q.choices, "answer": q.answer} for q in task.questions]
            data = directory / f"{task.name}.jsonl"
            data.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
            (directory / f"{task.name}.yaml").write_text(yaml.safe_dump(described(task, data)), encoding="utf-8")
        results = lm_eval.simple_evaluate(
            model="hf",
            model_args={"pretrained": str(model.resolve()), "dtype": "float32", "add_bos_token": True},
            tasks=[task.name for task in tasks],
            task_manager=TaskManager(include_path=temporary, include_defaults=False),
            device="cpu",
            batch_size=8,
            log_samples=True,
            bootstrap_iters=0,
        )
    found = {}
    for task in tasks:
        samples = sorted(results["samples"][task.name], key=lambda sample: sample["doc_id"])
        figures = results["results"][task.name]
        found[task.name] = {
            "likelihoods": [[float(answer[0]) for answer in sample["filtered_resps"]] for sample in samples],
            "acc": figures["acc,none"],
            "acc_norm": figures["acc_norm,none"],
        }
    return found


def described(task: Task, data: Path) -> dict:
    """A task as lm-eval's files describe it."""
    return {
        "task": task.name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{prompt}}",
        "doc_to_choice": "choices",
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
    }


if __name__ == "__main__":
    main()
