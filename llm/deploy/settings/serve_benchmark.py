"""What scripts/deploy/serve_benchmark.py is told."""

from dataclasses import dataclass
from typing import Any

from llm.settings import key

RANGE: dict[str, Any] = {"items": {"type": "integer", "minimum": 1}, "minItems": 2, "maxItems": 2}


@dataclass(frozen=True, kw_only=True)
class LoadTest:
    """The load test."""

    requests: int = key(24, minimum=1)
    """Of the load test."""
    prompt_tokens: list[int] = key([8, 64], **RANGE)
    """[least, most] of a request."""
    new_tokens: list[int] = key([4, 40], **RANGE)
    """[least, most] of a request."""
    batch_size: int = key(16, minimum=2)
    """Requests that are answered together, at most."""
    shared_tokens: int = key(32, minimum=0, shown=False)
    """With which every longer prompt begins, as under one system prompt."""
    arrival_rates: list[float] = key([10.0, 40.0], shown=False)
    """Requests a second (Poisson) at which latency is measured."""


@dataclass(frozen=True, kw_only=True)
class ServeBenchmarkSettings(LoadTest):
    """The slice."""

    seed: int
