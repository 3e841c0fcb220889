"""A random model with a small real tokenizer, and what it is judged by, in directories as a run has them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from llm.align.lora import add_lora, save_adapter
from llm.align.settings.adapter import LoraConfig
from llm.model.transformer import CausalLM
from llm.package.hf_directory import write_directory
from tests.llm.align.toy import adapter_of
from tests.llm.tokenize.write_ids import write_indexed
from tests.one_thread import one_thread  # noqa: F401 (a fixture)

ROWS = [
    {
        "kind": "definition" if number % 2 else "passage",
        "messages": [
            {"role": "user", "content": f"thi rone {number}?"},
            {"role": "assistant", "content": f"Se {'no ' * (number % 4)}do te."},
        ],
    }
    for number in range(12)
]


@pytest.fixture(scope="session")
def work(tmp_path_factory, random_lm, tokenizer_files) -> Path:
    """models/{base,sft}, align/{reward,instructions}, tokens."""
    directory = tmp_path_factory.mktemp("evaluation")
    for seed, name in enumerate(("base", "sft")):
        model = random_lm(seed, context_length=64)
        (directory / "models" / name).mkdir(parents=True)
        write_directory(directory / "models" / name, model.config.to_hf(), model, tokenizer_files.values())
    write_reward(random_lm(1, context_length=64), directory / "align/reward")
    (directory / "align/instructions").mkdir()
    text = "".join(json.dumps(row) + "\n" for row in ROWS)
    (directory / "align/instructions/validation.jsonl").write_text(text)
    write_tokens(directory / "tokens")
    return directory


def write_reward(model: CausalLM, directory: Path) -> None:
    directory.mkdir(parents=True)
    config = LoraConfig(2, 4.0, ("q_proj",))
    add_lora(model, config, seed=5)
    weights = adapter_of(model)
    generator = torch.Generator().manual_seed(3)
    weights["score.weight"] = torch.randn(1, model.config.d_model, generator=generator)
    save_adapter(weights, config, directory, base="../../models/sft", task_type="SEQ_CLS")


def write_tokens(directory: Path) -> None:
    """Two sources with validation tokens, of which one has a last window that is shorter."""
    random = np.random.Generator(np.random.PCG64(2))
    for source, counts in {"one": (70, 60), "two": (100, 92)}.items():
        shard = directory / source
        shard.mkdir(parents=True)
        tokens = write_indexed(shard / "validation", [random.integers(8, 400, n) for n in counts], np.uint16)
        meta = {
            "source": source,
            "domain": source,
            "validation": {"tokens": tokens, "bytes": 3 * tokens + 7, "documents": len(counts)},
        }
        (shard / "meta.json").write_text(json.dumps(meta))
