"""Load-test a quantized model: mixed requests, greedy, batch 1 and larger, with and without the key-value cache."""

from pathlib import Path

from llm.command import command
from llm.deploy.quantize.model import load_any
from llm.deploy.serve.benchmark import Workload, facts, timed
from llm.deploy.serve.generate import StaticEngine
from llm.deploy.settings.serve_benchmark import ServeBenchmarkSettings
from llm.io.json import write_json
from llm.progress import progress
from llm.runtime.device import default_device


def main(quantized: Path, benchmark: Path, *, settings: ServeBenchmarkSettings) -> dict:
    """quantized: model directory. benchmark: JSON file for what is equal in every run. Returns the measured times."""
    model = load_any(quantized, default_device())
    (shortest, longest), (fewest, most) = settings.prompt_tokens, settings.new_tokens
    asked = Workload(settings.requests, (shortest, longest), (fewest, most), settings.seed)
    workload, batch_size = asked.requests(model.config), settings.batch_size
    StaticEngine(model, 2).run(workload[:2])  # first calls allocate and choose kernels
    runs = {}
    for size in (1, batch_size):
        runs[size] = timed(StaticEngine(model, size), workload)
        progress(f"batch {size}  {runs[size].measured()['tokens_per_s']:,.0f} tokens/s")
    few = workload[: settings.uncached_requests]
    cached = timed(StaticEngine(model, 1), few)
    uncached = timed(StaticEngine(model, 1, use_cache=False), few)
    weight = model.model.embed_tokens.weight
    result = facts(model.config, workload, runs, weight.element_size())
    result["without_cache"] = {
        "requests": len(few),
        "requests_equal_to_cached": sum(a == b for a, b in zip(uncached.completions, cached.completions, strict=True)),
    }
    write_json(benchmark, result)
    return {
        "batch_1": runs[1].measured(),
        f"batch_{batch_size}": runs[batch_size].measured(),
        "few_cached": cached.measured(),
        "few_uncached": uncached.measured(),
        "cache_speedup": uncached.measured()["wall_s"] / cached.measured()["wall_s"],
        "batch_speedup": runs[1].measured()["wall_s"] / runs[batch_size].measured()["wall_s"],
        "new_tokens": runs[1].new_tokens,
    }


if __name__ == "__main__":
    command(main)
