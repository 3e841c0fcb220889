"""Counts for Prometheus, and for the page's live view: what the engines hold now, and what has been."""

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from llm.deploy.serve.models import Models

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120)


def state_of(models: Models) -> dict[str, dict[str, Any]]:
    """Return each loaded engine's figures by its model's name, read while it works: they may be a step apart."""
    found = {}
    for name, worker in models.workers().items():
        engine, counts = worker.engine, worker.counts
        scheduler, blocks = engine.scheduler, engine.blocks
        found[name] = {
            "running": len(scheduler.running),
            "waiting": len(scheduler.waiting) + worker.inbox.qsize(),
            "preemptions": scheduler.preemptions,
            "kv_blocks": blocks.n_blocks,
            "kv_blocks_held": blocks.n_blocks - blocks.n_free,
            "prefix_tokens": scheduler.asked_tokens,
            "prefix_hit_tokens": scheduler.hit_tokens,
            "evictions": blocks.evictions,
            **vars(counts),
        }
    return found


HELP = {
    "running": "Sequences that have blocks.",
    "waiting": "Sequences that wait for blocks.",
    "kv_blocks": "Blocks of the key-value cache.",
    "kv_blocks_held": "Blocks that a sequence holds.",
    "preemptions": "Times a sequence gave its blocks back.",
    "prefix_tokens": "Tokens looked for among cached prefixes.",
    "prefix_hit_tokens": "Tokens found there.",
    "evictions": "Cached blocks that were used for others.",
    "prompt_tokens": "Tokens of prompts.",
    "new_tokens": "Tokens generated.",
    "finished": "Requests that ended.",
    "cancelled": "Requests whose client went away, or that took too long.",
    "steps": "Forward passes.",
    "busy_seconds": "Seconds spent in them.",
}
GAUGES = ("running", "waiting", "kv_blocks", "kv_blocks_held")


class EngineState(Collector):
    def __init__(self, models: Models) -> None:
        self.models = models

    def collect(self) -> Iterator[Metric]:
        state = state_of(self.models)
        for key, text in HELP.items():
            kind = GaugeMetricFamily if key in GAUGES else CounterMetricFamily
            family = kind(f"stemma_{key}", text, labels=["model"])
            for name, figures in state.items():
                family.add_metric([name], figures[key])
            yield family


class Meters:
    """A registry of this server's own, its histograms, and the count of answers by path and status."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        first, following = "Seconds to a request's first token.", "Seconds between two tokens."
        self.first = Histogram("stemma_time_to_first_token_seconds", first, buckets=SECONDS, registry=self.registry)
        self.next = Histogram(
            "stemma_time_per_output_token_seconds", following, buckets=SECONDS, registry=self.registry
        )
        self.answers = Counter("stemma_answers", "HTTP answers.", ["path", "status"], registry=self.registry)
