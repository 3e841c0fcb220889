"""Load-test a quantized model: mixed requests, greedy, alone, in static and in continuous batches, with and without
shared prefixes, and at several rates of arrival."""

from dataclasses import replace
from pathlib import Path

from llm.command import command
from llm.deploy.quantize.model import load_any
from llm.deploy.serve.benchmark import Workload, facts, timed
from llm.deploy.settings.serve_benchmark import ServeBenchmarkSettings
from llm.inference.engine import Engine, EngineSettings
from llm.inference.scheduler import Limits
from llm.io.json import write_json
from llm.progress import progress
from llm.runtime.device import default_device


def main(quantized: Path, benchmark: Path, *, settings: ServeBenchmarkSettings) -> dict:
    """quantized: model directory. benchmark: JSON file for what is equal in every run. Returns the measured times."""
    model = load_any(quantized, default_device())
    (shortest, longest), (fewest, most) = settings.prompt_tokens, settings.new_tokens
    asked = Workload(settings.requests, (shortest, longest), (fewest, most), settings.seed, settings.shared_tokens)
    workload, batch_size = asked.requests(model.config), settings.batch_size
    alone = EngineSettings(limits=Limits(max_sequences=1), prefix_sharing=False)
    unshared = EngineSettings(limits=Limits(max_sequences=batch_size), prefix_sharing=False)
    shared = replace(unshared, prefix_sharing=True)
    Engine(model, unshared).generate(workload[:2])  # first calls allocate and compile
    ways = {"alone": (alone, None), "static": (unshared, batch_size), "continuous": (unshared, None)}
    runs = {name: timed(Engine(model, how), workload, batch_size=size) for name, (how, size) in ways.items()}
    runs["continuous, shared prefixes"] = timed(Engine(model, shared), workload)
    metrics: dict = {name: run.measured() for name, run in runs.items()}
    metrics["arrivals"] = {
        str(rate): timed(Engine(model, shared), workload, asked.arrivals(rate)).measured()
        for rate in settings.arrival_rates
    }
    for name, run in runs.items():
        progress(f"{name}  {run.measured()['tokens_per_s']:,.0f} tokens/s")
    write_json(benchmark, facts(model.config, workload, runs, model.model.embed_tokens.weight.element_size()))
    return metrics | {"new_tokens": runs["alone"].new_tokens}


if __name__ == "__main__":
    command(main)
