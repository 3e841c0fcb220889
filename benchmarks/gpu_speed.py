"""Parts of benchmarks/gpu.py about speed: training beside a nanoGPT-style loop (`speed`), where a step's time goes
(`profile`, on demand). bf16, torch.compile (not in the smallest form), one card; a step is gradients and update."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch

from benchmarks.gpu_bench import GPT2, LLAMA, TINY, Bench, Row, SeededStream, measured, median, nominal_peak, settings
from benchmarks.nanogpt import GPT, GPTSizes, adamw, update
from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM, initialise
from llm.pretrain.next_token import NextToken
from llm.runtime.determinism import set_determinism
from llm.training.engines.single import SingleEngine, prepare_layers
from llm.training.mfu import flops_per_token, matmul_peak

WARM = 3  # steps after the first
ROUNDS = 4
KERNELS = 14  # lines of a profile


@dataclass(frozen=True)
class Case:
    """A model at a context, rows of a batch, and whether the nanoGPT-style loop runs beside it. seconds: of measuring,
    and what must be left for it to begin (most of it is compiling)."""

    name: str
    config: ModelConfig
    batch: int
    peer: bool
    needs: float


CASES = (
    Case("gpt2-124m, context 1,024", GPT2, 32, True, 60),
    Case("llama-1b, context 2,048", LLAMA, 8, False, 40),
    Case("gpt2-124m, context 2,048", replace(GPT2, context_length=2048), 16, False, 30),
    Case("llama-1b, context 1,024", replace(LLAMA, context_length=1024), 16, False, 30),
)
SMALL = (Case("tiny, context 128", TINY, 4, True, 0),)


def speed(bench: Bench) -> Iterator[Row]:
    peak, nominal = matmul_peak(torch.bfloat16, bench.device), nominal_peak(bench.device)
    for case in SMALL if bench.small else CASES:
        if bench.left < case.needs:
            yield Row(case.name, 0.0, "", None, f"left out: {bench.left:.0f} s are left")
            continue
        yield from case_rows(bench, case, peak, nominal)
        release(bench)


def case_rows(bench: Bench, case: Case, peak: float, nominal: float | None) -> Iterator[Row]:
    tokens = case.batch * case.config.context_length
    flops = tokens * flops_per_token(case.config)
    stream = SeededStream(case.config.vocab_size, case.config.context_length)
    memory_before = allocated(bench)
    ours, compiling = started(bench, lambda: our_step(bench, case, stream))
    yield Row(f"{case.name}: first step, compiled", compiling, "s")
    yield Row(f"{case.name}: peak memory", (peak_memory(bench) - memory_before) / 2**30, "GiB")
    steps = {"ours": ours}
    if case.peer:
        free = lambda: our_step(bench, case, stream, deterministic=False)  # noqa: E731
        steps["ours, not deterministic"], _ = started(bench, free)
        steps["nanoGPT-style"], compiling = started(bench, lambda: peer_step(bench, case, stream))
        yield Row(f"{case.name}: nanoGPT-style, first step, compiled", compiling, "s")
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            seconds[name].append(median(measured(bench, step, 0.2 if bench.small else 1.2)))
    for name, found in seconds.items():
        middle = median(found)
        mfu = f"MFU {flops / middle / peak:.1%} of measured"
        if nominal:
            mfu += f", {flops / middle / nominal:.1%} of nominal"
        yield Row(f"{case.name}: {name}", tokens / middle, "tokens/s", None, f"{mfu}; {middle * 1e3:.1f} ms a step")
    if case.peer:
        ratio = median([b / a for a, b in zip(seconds["ours"], seconds["nanoGPT-style"], strict=True)])
        yield Row(f"{case.name}: ours is faster by", ratio, "times")


def started(bench: Bench, make: Callable[[], Callable]) -> tuple[Callable, float]:
    """A step that is warm, and the seconds of its first call."""
    if bench.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    step = make()
    bench.synchronize()
    begun = time.perf_counter()
    step()
    bench.synchronize()
    first = time.perf_counter() - begun
    for _ in range(WARM):
        step()
    return step, first


def our_step(
    bench: Bench, case: Case, stream: SeededStream, optimizer: str = "adamw", deterministic: bool = True
) -> Callable[[], None]:
    """As a run of pretraining makes it: with deterministic algorithms."""
    with torch.device(bench.device):
        model = CausalLM(case.config)
    model = prepare_layers(fast_initialise(model), "none", compile=not bench.small)
    engine = SingleEngine(NextToken(model, torch.bfloat16, not bench.small), settings(optimizer))
    batches = cached_rows(stream, case.batch)

    def step() -> None:
        set_determinism(deterministic)
        _, norm = engine.gradients(batches, case.batch)
        engine.update(1.0, norm)

    return step


def peer_step(bench: Bench, case: Case, stream: SeededStream) -> Callable[[], None]:
    config = case.config
    sizes = GPTSizes(config.vocab_size, config.d_model, config.n_layers, config.n_heads, config.context_length)
    model = GPT(sizes).to(bench.device)
    optimizer = adamw(model, 6e-4)
    if not bench.small:
        model.compile()
    batches = cached_rows(stream, case.batch)

    def step() -> None:
        set_determinism(False)
        update(model, optimizer, batches(0, case.batch).to(bench.device))

    return step


def cached_rows(stream: SeededStream, batch: int) -> Callable[[int, int], torch.Tensor]:
    """rows(first, count) of one batch, made once: making random tokens is not what is measured."""
    rows = stream.rows(0, 0, batch)
    return lambda first, count: rows[first : first + count]


def fast_initialise(model: CausalLM) -> CausalLM:
    """Normal weights drawn on the device; `initialise` draws on the CPU, which takes a minute for a billion."""
    if model.output_weight.is_cpu:
        return initialise(model, 0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                weight.fill_(0.0 if name.endswith(".bias") else 1.0)
            else:
                weight.normal_(0.0, model.config.init_std)
    return model


def profile(bench: Bench) -> Iterator[Row]:
    """The kernels that take most of a step of the first case."""
    case = (SMALL if bench.small else CASES)[0]
    stream = SeededStream(case.config.vocab_size, case.config.context_length)
    for optimizer in ("adamw", "muon"):
        step, _ = started(bench, lambda optimizer=optimizer: our_step(bench, case, stream, optimizer))
        with torch.profiler.profile() as profiler:
            for _ in range(3):
                step()
            bench.synchronize()
        kind = "device_time_total" if bench.device == "cuda" else "cpu_time_total"
        self_kind = f"self_{kind}"
        events = sorted(profiler.key_averages(), key=lambda event: -getattr(event, self_kind))
        if bench.device == "cuda":
            events = [event for event in events if event.device_type == torch.autograd.DeviceType.CUDA]
        total = sum(getattr(event, self_kind) for event in events)
        yield Row(
            f"{optimizer}: kernels of a step", total / 3e3, "ms", None, f"{sum(e.count for e in events) // 3} calls"
        )
        for event in events[:KERNELS]:
            share = getattr(event, self_kind) / total
            yield Row(f"{optimizer}: {event.key[:80]}", 100 * share, "%", None, f"{event.count // 3} calls a step")
        release(bench)


def allocated(bench: Bench) -> int:
    return torch.cuda.memory_allocated() if bench.device == "cuda" else 0


def peak_memory(bench: Bench) -> int:
    return torch.cuda.max_memory_allocated() if bench.device == "cuda" else 0


def release(bench: Bench) -> None:
    """Forget compiled code and cached memory of what has gone."""
    torch._dynamo.reset()
    if bench.device == "cuda":
        torch.cuda.empty_cache()
