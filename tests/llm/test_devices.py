"""No code of llm/ takes the CPU for granted. Where torch is built with CUDA, a card or not, forward passes are made on
fake tensors of a GPU, which compute nothing and refuse operands on two devices."""

import ast
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from llm.align import paired, reward, sft
from llm.align.batches import Example, Pair, collate
from llm.align.settings.adapter import Schedule
from llm.align.settings.paired import PairedSettings
from llm.inference.attention import KVPool, Layout, PagedAttention, Threads
from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM
from llm.pretrain.next_token import NextToken
from llm.training.engines.single import SingleEngine
from llm.training.settings import OptimizerSettings

LLM = Path(__file__).resolve().parents[2] / "llm"
CHOOSES = {"device.py": "the one place", "checkpoint.py": "copies into the CPU's memory"}
ONCE = Schedule(steps=1, batch_size=1, learning_rate=1.0, warmup_steps=0)
DPO = PairedSettings(loss="dpo", schedule=ONCE, seed=0)
SIDE = Example(np.arange(9), np.arange(9) > 4, "kind")
PAIR = Pair(SIDE, Example(np.arange(8), np.arange(8) > 3, "kind"), "kind")


def test_only_one_module_chooses_a_device() -> None:
    """A default argument may be the CPU; what is called with a device is called with a model's or a tensor's."""
    for file in sorted(LLM.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("autocast", "to", "device", "cuda"):
                named = [a.value for a in node.args if isinstance(a, ast.Constant) and a.value in ("cpu", "cuda")]
                assert not named or file.name in CHOOSES or "megatron" in file.parts, f"{file}:{node.lineno}"


def test_batches_go_where_the_model_is() -> None:
    batch = collate([SIDE], 0).to(torch.device("meta"))
    assert {tensor.device.type for tensor in (batch.tokens_BT, batch.mask_BT, batch.length_B)} == {"meta"}


@pytest.mark.skipif(not torch.backends.cuda.is_built(), reason="this torch knows no CUDA tensor")
@pytest.mark.parametrize("position", ["rope", "alibi", "learned", "sinusoidal"])
def test_nothing_is_left_on_the_cpu(position: str) -> None:
    config = ModelConfig(64, 32, 2, 4, 2, 8, 48, 32, position=position)
    with FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=True):
        with torch.device("cuda"):
            model = CausalLM(config)
        tokens_BT = torch.zeros(2, 17, dtype=torch.int64, device=model.device)
        results = []
        for dtype in (torch.float32, torch.bfloat16):
            engine = SingleEngine(NextToken(model, dtype), OptimizerSettings("muon", 0.01, 0.02, 0.1, 1.0))
            results += [engine.objective(tokens_BT, 100)[0], engine.scores(tokens_BT)]
        with torch.no_grad():
            pool = KVPool(config, 3, torch.float32, model.device)
            layout = Layout(np.arange(24), [(0, 10), (10, 17)], np.arange(2)[:, None])
            attention = PagedAttention(config, pool, layout, "sdpa", Threads(1))
            results.append(model.hidden(torch.zeros(1, 24, dtype=torch.int64, device=model.device), attention))
        objectives = (sft.Supervised, partial(paired.Paired, settings=DPO), reward.RewardModel)
        for objective, item in zip(objectives, (SIDE, PAIR, PAIR), strict=True):
            batch = collate([item], 0).to(model.device)
            results += objective(model, torch.float32)(batch, 1)
            results += [objective(model, torch.float32)(batch)]
        assert {result.device.type for result in results} == {"cuda"}
