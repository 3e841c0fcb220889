"""Toy items and jobs of alignment, for tests: random conversations, and pairs that are easy to tell apart."""

import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import torch

from llm.align import paired
from llm.align.batches import Example, Labelled, Pair
from llm.align.conversations import read_pairs
from llm.align.kto import KTO
from llm.align.reward import REWARD
from llm.align.settings.adapter import AdapterSettings, LoraConfig, Schedule
from llm.align.settings.kto import KtoSettings
from llm.align.settings.paired import PairedSettings
from llm.align.sft import SFT
from llm.align.train_adapter import ItemsJob
from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM, initialise
from llm.training.guards import Blame
from llm.training.segment import Task
from tests.llm.weights import save_weights

CONFIG = ModelConfig(
    vocab_size=264, d_model=32, n_layers=2, n_heads=4, n_kv_heads=2, d_head=8, d_ff=48, context_length=128
)
LORA = LoraConfig(r=4, alpha=8, target_modules=("q_proj", "v_proj", "down_proj"))
BETA = 0.3
PAIRS = ("dpo", "ipo", "simpo", "orpo")
METHODS = {"sft": SFT, "reward": REWARD, **paired.METHODS, "kto": KTO}


def example(seed: int, prompt: int = 6, answer: int = 9, kind: str = "k") -> Example:
    random = np.random.Generator(np.random.PCG64(seed))
    answer += seed % 5
    ids = random.integers(8, 264, size=prompt + answer)
    ids[-1] = 2
    return Example(ids, np.arange(prompt + answer) >= prompt, kind)


def pairs(n: int, first: int = 0) -> list[Pair]:
    """Chosen answers are made of low ids, rejected ones of high ids: easy to tell apart."""
    result = []
    for seed in range(first, first + n):
        sides = [example(2 * seed), example(2 * seed + 1)]
        for side, low in zip(sides, (8, 136), strict=True):
            side.ids[:6] = sides[0].ids[:6]
            side.ids[6:-1] = low + side.ids[6:-1] % 128
        result.append(Pair(*sides, "even" if seed % 2 else "odd"))
    return result


def schedule(steps: int, batch_size: int, learning_rate: float, warmup_steps: int) -> Schedule:
    return Schedule(steps=steps, batch_size=batch_size, learning_rate=learning_rate, warmup_steps=warmup_steps)


def adapter_settings(method: str = "sft", **changes: object) -> AdapterSettings:
    told = {"lora": LORA, "schedule": schedule(40, 8, 1e-2, 2), "seed": 1, "dtype": "float32"} | changes
    if method in PAIRS:
        return PairedSettings(**{"beta": BETA, "loss": method} | told)
    return KtoSettings(**{"beta": BETA} | told) if method == "kto" else AdapterSettings(**told)


def items_of(method: str, n: int, first: int = 0) -> list:
    """What the method is trained on."""
    if method == "sft":
        return [pair.chosen for pair in pairs(n, first)]
    return labelled(pairs(n, first)) if method == "kto" else pairs(n, first)


def labelled(given: list[Pair]) -> list[Labelled]:
    """The answers one by one, each with the next pair's answer to its prompt."""
    found = []
    for pair, other in zip(given, [*given[1:], given[0]], strict=True):
        for side in ("chosen", "rejected"):
            own, wrong = getattr(pair, side), getattr(other, side)
            ids = np.concatenate((own.ids[:6], wrong.ids[6:]))
            found.append(Labelled(own, Example(ids, wrong.mask, pair.kind), float(side == "chosen"), pair.kind))
    return found


def job_of(method: str, settings: AdapterSettings, directory: Path) -> ItemsJob:
    return ItemsJob(
        task=Task(settings, None, "digest", Blame(method, f"lower align.{method}.schedule.learning_rate")),
        output=directory,
        scratch=directory.with_name(f"{directory.name}.scratch"),
        logs=None,
        deadline=math.inf,
        hang_seconds=0,
        method=METHODS[method],
        read=read_pairs,
        base=base_of(directory.with_name(f"{directory.name}.base")),
        data=Path(),
        base_name="../../models/base",
    )


def base_of(directory: Path) -> Path:
    """A model directory as far as an adapter says which one it was made on."""
    directory.mkdir(parents=True, exist_ok=True)
    save_weights(random_model(), directory / "model.safetensors")
    return directory


def write_inputs(directory: Path, tokenizer: Path, n: int, held_out: int | None) -> None:
    """Write what alignment is made from: clean/dict, `n` definitions, each `held_out`th of them for validation (None:
    none), and base/, a random model."""
    rows = [
        {
            "id": f"dict/{i:08}",
            "text": f"term{i}\n\nTerm {i} is said of a thing that has {i} parts, {'and more, ' * (i % 5)}in order.\n",
            "title": f"term{i}",
            "source": "dict",
            "domain": "encyclopedic",
            "language": "en",
            "split": "validation" if held_out and i % held_out == 0 else "train",
        }
        for i in range(n)
    ]
    (directory / "clean" / "dict").mkdir(parents=True)
    pl.DataFrame(rows).write_parquet(directory / "clean" / "dict" / "part-00000.parquet")
    base = directory / "base"
    base.mkdir()
    config = ModelConfig(400, d_model=32, n_layers=2, n_heads=4, n_kv_heads=2, d_head=8, d_ff=64, context_length=256)
    (base / "config.json").write_text(json.dumps(config.to_hf()))
    model = initialise(CausalLM(config), 0)
    for name, weight in model.named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight")):  # they begin as zeros: no token would see another
            torch.nn.init.normal_(weight, std=0.05, generator=torch.Generator().manual_seed(1))
    save_weights(model, base / "model.safetensors")
    (base / "tokenizer.model").write_bytes(tokenizer.read_bytes())


def adapter_of(model: CausalLM) -> dict[str, torch.Tensor]:
    """What is trained, by name."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def random_model() -> CausalLM:
    """Every weight random and large enough that each one shows in the logits."""
    generator = torch.Generator().manual_seed(5)
    model = CausalLM(CONFIG).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0.0, 0.2, generator=generator).add_(float(weight.ndim == 1))
    return model
