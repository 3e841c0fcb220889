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
    """Requests that are answered together."""
    uncached_requests: int = key(4, minimum=1, shown=False)
    """So many also run without the key-value cache."""


@dataclass(frozen=True, kw_only=True)
class ServeBenchmarkSettings(LoadTest):
    """The slice."""

    seed: int
