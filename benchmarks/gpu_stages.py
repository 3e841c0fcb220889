"""Part of benchmarks/gpu.py about the later stages: SFT and DPO steps, quantization, generation."""

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from benchmarks.gpu_bench import LLAMA, TINY, Bench, Row, measured, median
from benchmarks.gpu_speed import fast_initialise
from llm.align import paired
from llm.align.batches import Example, ItemStream, Pair
from llm.align.lora import add_lora
from llm.align.settings.adapter import AdapterSettings, LoraConfig, Schedule
from llm.align.settings.paired import PairedSettings
from llm.align.sft import SFT
from llm.align.train_adapter import optimizer_of
from llm.inference.engine import Engine, EngineSettings
from llm.inference.sequence import Request
from llm.model.config import ModelConfig
from llm.model.rounding import layers_to_quantize, quantize_weight
from llm.model.transformer import CausalLM, initialise
from llm.training.engines.single import SingleEngine

LORA = LoraConfig(16, 32.0, ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"))
MEDIUM = replace(
    TINY, d_model=768, n_layers=12, n_heads=12, n_kv_heads=12, d_ff=2048, vocab_size=32000, context_length=1024
)
METHODS = {"sft": SFT, "dpo": paired.METHODS["dpo"]}
REQUESTS = 64
LOSSES = 1e-3  # by how much an adapter's losses may differ from the CPU's in fp32


def stages(bench: Bench) -> Iterator[Row]:
    yield from alignment(bench)
    yield from generation(bench)
    yield from quantization(bench)


def alignment(bench: Bench) -> Iterator[Row]:
    """An adapter on the tiny model in fp32 against the CPU's, then steps of a model of 124 M parameters in bf16."""
    schedule = Schedule(steps=3 if bench.small else 20, batch_size=8, learning_rate=1e-3, warmup_steps=1)
    for method in ("sft", "dpo"):
        wanted = adapted(method, "cpu", TINY, schedule, "float32")
        found = adapted(method, bench.device, TINY, schedule, "float32")
        off = max(abs(found[key] - wanted[key]) for key in ("first_loss", "last_loss"))
        yield Row(f"{method}: losses differ from the CPU's by at most", off, "nats", off <= LOSSES)
    if bench.small:
        return
    for method in ("sft", "dpo"):
        steps = replace(schedule, steps=40)
        found = adapted(method, bench.device, MEDIUM, steps, "bfloat16")
        yield Row(f"{method}, 124 M, bf16, 8 rows", found["training_seconds"] / 40 * 1e3, "ms a step")


def adapted(method: str, device: str, config: ModelConfig, schedule: Schedule, dtype: str) -> dict:
    """The losses of an adapter that is trained on random conversations, and what its steps took."""
    common = {"lora": LORA, "schedule": schedule, "seed": 0, "dtype": dtype}
    told = AdapterSettings(**common) if method == "sft" else PairedSettings(loss="dpo", **common)
    if method == "sft":
        items: list = [example(config, number) for number in range(64)]
    else:
        items = [Pair(example(config, n), example(config, n + 1000), "random") for n in range(64)]
    model = initialise(CausalLM(config), 0)
    add_lora(model, told.lora, told.seed)
    engine = SingleEngine(METHODS[method].objective(model, told).to(device), optimizer_of(schedule))
    stream = ItemStream(items, schedule.batch_size, told.seed, config.pad_id)
    losses, begun = [], time.perf_counter()
    for step in range(schedule.steps):
        loss, norm = engine.gradients(partial(stream.rows, step * schedule.batch_size), schedule.batch_size)
        engine.update(schedule.factor(step + 1), norm)
        losses.append(loss)
    return {"first_loss": losses[0], "last_loss": losses[-1], "training_seconds": time.perf_counter() - begun}


def example(config: ModelConfig, number: int) -> Example:
    """Random tokens, the later half of them to be learnt."""
    generator = np.random.Generator(np.random.PCG64(number))
    n_tokens = int(generator.integers(config.context_length // 4, config.context_length // 2))
    ids = generator.integers(4, config.vocab_size, n_tokens)
    return Example(ids, np.arange(n_tokens) > n_tokens // 2, "random")


def generation(bench: Bench) -> Iterator[Row]:
    """64 requests: greedy tokens of the tiny model as the CPU's, then speed with the large one, by CUDA graphs and
    without."""
    requests = [request(TINY, number, 8 if bench.small else 32) for number in range(REQUESTS)]
    model = initialise(CausalLM(replace(TINY, init="normal")), 0).eval()
    wanted = answers(Engine(model), requests)
    found = answers(Engine(model.to(bench.device)), requests)
    equal = sum(a == b for a, b in zip(found, wanted, strict=True))
    yield Row("greedy answers as the CPU's", equal, f"of {REQUESTS}", equal >= REQUESTS - 2, "fp32")
    if bench.small:
        return
    large = large_model(bench)
    requests = [request(LLAMA, number, 64) for number in range(REQUESTS)]
    engine = Engine(large, EngineSettings(kv_bytes=4 * 2**30, prefix_sharing=False))
    made = sum(map(len, answers(engine, requests)))  # records the steps, too
    sizes = len(engine.runner.recorded.known) if engine.runner.recorded else 0
    seconds = median(measured(bench, lambda: answers(engine, requests), 0.0, 1))
    note = f"CUDA graphs of {sizes} sizes"
    yield Row("llama-1b, bf16, 64 requests of 64 new tokens", made / seconds, "tokens/s", sizes > 0, note)
    engine.runner.recorded = None
    seconds = median(measured(bench, lambda: answers(engine, requests), 0.0, 1))
    yield Row("the same without CUDA graphs", made / seconds, "tokens/s")


def request(config: ModelConfig, number: int, new: int) -> Request:
    generator = np.random.Generator(np.random.PCG64(number))
    n_tokens = int(generator.integers(8, min(128, config.context_length // 2)))
    return Request(generator.integers(4, config.vocab_size, n_tokens).tolist(), new)


def answers(engine: Engine, requests: list[Request]) -> list[list[int]]:
    return [output.completions[0].tokens for output in engine.generate(requests)]


def large_model(bench: Bench) -> CausalLM:
    with torch.device(bench.device):
        model = CausalLM(LLAMA)
    return fast_initialise(model).to(torch.bfloat16).eval()


def quantization(bench: Bench) -> Iterator[Row]:
    """INT4 in groups of 128: the CPU's integers, and seconds for the large model."""
    generator = torch.Generator().manual_seed(0)
    weight_NK = torch.randn(512, 1024, generator=generator)
    wanted, found = (quantize_weight(weight_NK.to(device), 4, 128) for device in ("cpu", bench.device))
    equal = torch.equal(found.q_NK.cpu(), wanted.q_NK) and torch.equal(found.scale_NG.cpu(), wanted.scale_NG)
    yield Row("int4 as the CPU's", float(equal), "", equal)
    if bench.small:
        return
    model = large_model(bench)
    bench.synchronize()
    begun = time.perf_counter()
    for layer in layers_to_quantize(model).values():
        quantize_weight(layer.weight.detach(), 4, 128)
    bench.synchronize()
    yield Row("llama-1b to int4 in groups of 128", time.perf_counter() - begun, "s")
