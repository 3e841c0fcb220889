"""Training, alignment, quantization and generation need torch, numpy and safetensors, no more."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ABSENT = ("polars", "duckdb", "megatron", "transformers", "sentencepiece", "tokenizers", "numba", "pyarrow", "psutil")
WORK = f"""
import sys
for name in {ABSENT!r}:
    sys.modules[name] = None

import numpy as np
import torch
import llm.training.engines.ddp, llm.training.engines.fsdp, llm.runtime.launch
import llm.training.checkpoint, llm.pretrain.evaluate, llm.training.recovery, llm.training.segment
from llm.align import kto, paired, reward, sft
from llm.align.batches import Example, Pair, collate
from llm.align.settings.adapter import LoraConfig, Schedule
from llm.align.settings.paired import PairedSettings
from llm.align.lora import add_lora
from llm.model.config import ModelConfig
from llm.pretrain.engines.build import build_engine
from llm.training.engines.layout import Layout
from llm.model.rounding import layers_to_quantize, quantize_weight
from llm.inference.engine import generate
from llm.training.settings import OptimizerSettings

config = ModelConfig(64, 32, 1, 2, 1, 16, 32, 16)
engine = build_engine(config, Layout(), OptimizerSettings("muon", 0.01, 0.02, 0.1, 1.0), torch.bfloat16, 0)
loss, norm = engine.gradients(lambda first, count: torch.arange(17 * count).view(count, 17) % 64, 2)
engine.update(1.0, norm)
model = engine.objective.model.requires_grad_(False).eval()
assert len([quantize_weight(layer.weight, 4, 16) for layer in layers_to_quantize(model).values()]) == 7
assert len(generate(model, [[1, 2], [3]], max_new_tokens=3)) == 2
add_lora(model, LoraConfig(2, 4.0, ("q_proj",)), 0)
example = Example(np.arange(9), np.arange(9) > 4, "kind")
pair = Pair(example, Example(np.arange(8), np.arange(8) > 3, "kind"), "kind")
pairs = collate([pair], 0)
sft.Supervised(model, torch.float32)(collate([example], 0), 1)[0].backward()
told = PairedSettings(loss="ipo", schedule=Schedule(steps=1, batch_size=1, learning_rate=1.0, warmup_steps=0), seed=0)
paired.Paired(model, torch.float32, told)(pairs, 1)[0].backward()
reward.RewardModel(model)(pairs, 1)[0].backward()
"""


def test_without_any_other_package() -> None:
    done = subprocess.run([sys.executable, "-c", WORK], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
