"""Decoding by recorded steps, without a GPU: a recording is a trace here, in which all that Python computed is fixed,
as in a CUDA graph, and of which the memory of tensors alone can change."""

import numpy as np
import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode

from llm.inference.attention import BLOCK, KVPool, Layout
from llm.inference.engine import Engine, EngineSettings
from llm.inference.recorded import OneTokenEach, RecordedSteps, power_of_two
from llm.inference.scheduler import Limits
from llm.inference.sequence import Request

# What waits for the GPU, or copies to it from memory that is not pinned.
FORBIDDEN = {"_local_scalar_dense", "nonzero", "lift_fresh", "masked_select", "is_nonzero", "equal"}
QUICK = [{"n_layers": 2}, {"position": "alibi"}]
VARIANTS = [
    *QUICK,
    {"n_kv_heads": 6},
    {"n_kv_heads": 1, "tie_embeddings": False},
    {"position": "learned"},
    {"position": "sinusoidal"},
    {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}},
]
PROMPTS = [[1, 6, 30, 40, 7], [9], [8, 300, 301, 11, 12, 13, 14, 15, 16], list(range(5, 35))]


class Forbids(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        name = function.overloadpacket.__name__
        assert name not in FORBIDDEN, f"{name} while a step is recorded"
        return function(*arguments, **(keywords or {}))


class Traces:
    """Counts what it records."""

    def __init__(self) -> None:
        self.recordings = self.replays = 0

    def __call__(self, compute):
        compute()  # warm up
        with Forbids():
            compute()
        trace, found = make_fx(compute)(), compute()
        self.recordings += 1

        def replayed() -> torch.Tensor:
            self.replays += 1
            return found.copy_(trace())  # a graph's results have their place

        return replayed


def answers(model, settings: EngineSettings, record=None, requests=None) -> list:
    engine = Engine(model, settings)
    if record is not None:
        engine.runner.recorded = RecordedSteps(model, engine.runner.pool, record)
    requests = requests or [Request(prompt, 12 + 9 * place, logprobs=0) for place, prompt in enumerate(PROMPTS)]
    return [completion for output in engine.generate(requests) for completion in output.completions]


def near(found: list, wanted: list, by: float) -> None:
    assert [each.tokens for each in found] == [each.tokens for each in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=by)


@pytest.mark.parametrize(
    "changes",
    [pytest.param(each, marks=[] if each in QUICK else pytest.mark.thorough) for each in VARIANTS],
    ids=str,
)
def test_replayed_steps_are_the_plain_ones(changes, random_lm) -> None:
    """Answers end one after the other: 4, 3, 2 and 1 sequences in sizes of 4, 2 and 1, with 1 and 2 blocks."""
    model, record = random_lm(**({"n_layers": 1} | changes)), Traces()
    settings = EngineSettings(deterministic=False)
    near(answers(model, settings, record), answers(model, settings), 2e-5)
    assert 3 <= record.recordings <= 6 and record.replays > 30


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.int8], ids=str)
def test_smaller_caches(dtype, random_lm) -> None:
    model, record = random_lm(n_layers=1), Traces()
    settings = EngineSettings(deterministic=False, kv_dtype=dtype)
    near(answers(model, settings, record), answers(model, settings), 2e-2)
    assert record.replays


def test_beside_prompts_siblings_and_preemption(random_lm) -> None:
    """Few blocks, two sequences at a time, completions that share blocks: plain steps and replayed ones take turns."""
    model, record = random_lm(n_layers=1), Traces()
    requests = [Request(prompt, 25, temperature=1.0, seed=5, n=2, logprobs=0) for prompt in PROMPTS]
    settings = EngineSettings(kv_bytes=5 * 2 * BLOCK * 2 * 8 * 4, deterministic=False, limits=Limits(max_sequences=3))
    near(answers(model, settings, record, requests), answers(model, settings, None, requests), 2e-5)
    assert record.replays


def test_what_cannot_be_recorded_is_computed_as_ever(random_lm, caplog) -> None:
    def refuses(compute):
        raise RuntimeError("operation not permitted when stream is capturing")

    model, settings = random_lm(n_layers=1), EngineSettings(deterministic=False)
    assert answers(model, settings, refuses) == answers(model, settings)
    assert [record.getMessage() for record in caplog.records] == [
        "decoding without CUDA graphs: operation not permitted when stream is capturing"
    ]


def test_changed_weights_are_recorded_anew(random_lm) -> None:
    """A recording knows the weights by their memory: those that were put in another's place need a new one."""
    model, record, settings = random_lm(n_layers=1), Traces(), EngineSettings(deterministic=False)
    engine = Engine(model, settings)
    engine.runner.recorded = RecordedSteps(model, engine.runner.pool, record)
    engine.generate([Request([9], 12)])
    for layer, other in zip(model.model.layers, random_lm(seed=1, n_layers=1).model.layers, strict=True):
        layer.mlp.down_proj.weight = other.mlp.down_proj.weight
    engine.forget_prefixes()
    found = engine.generate([Request([9], 12, logprobs=0)])[0].completions
    near(found, answers(model, settings, None, [Request([9], 12, logprobs=0)]), 2e-5)
    assert record.recordings == 2


def test_what_is_missing_writes_nothing_new(random_lm) -> None:
    """Three sequences in a recording of four: their slots and no others are written."""
    config = random_lm(n_layers=1).config
    pool = KVPool(config, 8, torch.float32, torch.device("cpu"))
    layout = Layout(np.array([3, 40, 0]), [(0, 1), (1, 2), (2, 3)], np.array([[2, 0], [5, 7], [1, 0]]))
    RecordedSteps(random_lm(n_layers=1), pool, Traces()).run(layout, torch.tensor([7, 8, 9]))
    written = pool.values_LPKBH[0].abs().sum((1, 3)).nonzero().tolist()  # blocks and slots
    assert written == [[1, 0], [2, 3], [7, 8]]


def test_nothing_is_asked_of_another_device(random_lm) -> None:
    """On a device without numbers, where mixing devices or reading a number is an error."""
    meta = torch.device("meta")
    for changes in VARIANTS:
        model = random_lm(**({"n_layers": 1} | changes)).to(meta)
        pool = KVPool(model.config, 8, torch.float32, meta)
        slope_N = torch.empty(6, device=meta) if model.config.position == "alibi" else None
        attention = OneTokenEach(model.config, pool, torch.zeros((4, 4), dtype=torch.int64, device=meta), slope_N)
        assert model.hidden(attention.table_SW[None, :, 0], engine=attention).shape == (1, 4, 48)


def test_power_of_two() -> None:
    assert [power_of_two(n) for n in (1, 2, 3, 4, 5, 64, 65)] == [1, 2, 4, 4, 8, 64, 128]
