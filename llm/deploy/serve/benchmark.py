"""A small load test: seeded mixed requests, greedy, through an Engine. Facts, equal in every run, are kept from times.

Prompts are random token ids: the load depends on lengths, not on content. All requests are there at the start, so time
to first token includes waiting for earlier batches. There is no arrival process and no server.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llm.deploy.serve.generate import Engine, Request
from llm.errors import InputError
from llm.model.config import ModelConfig
from llm.model.counts import kv_bytes_per_token
from llm.model.shape import Shape

FIRST_TEXT_ID = 8  # smaller ids are control tokens


@dataclass(frozen=True)
class Workload:
    """`n_requests` with prompt and new-token lengths drawn uniformly from ranges, both ends included."""

    n_requests: int
    prompt_tokens: tuple[int, int]
    new_tokens: tuple[int, int]
    seed: int

    def requests(self, config: ModelConfig) -> list[Request]:
        """Draw the requests. Raises InputError where the longest one does not fit the model's context."""
        for key, (low, high) in (("prompt_tokens", self.prompt_tokens), ("new_tokens", self.new_tokens)):
            if not 1 <= low <= high:
                raise InputError(f"serve.{key}: [{low}, {high}] is not a range of positive numbers")
        longest = self.prompt_tokens[1] + self.new_tokens[1]
        if longest > config.context_length:
            raise InputError(
                f"serve.prompt_tokens and serve.new_tokens make up to {longest} tokens, "
                f"model.context_length is {config.context_length}: shorten them"
            )
        random = np.random.Generator(np.random.PCG64(self.seed))
        result = []
        for _ in range(self.n_requests):
            length = int(random.integers(self.prompt_tokens[0], self.prompt_tokens[1] + 1))
            new = int(random.integers(self.new_tokens[0], self.new_tokens[1] + 1))
            prompt = random.integers(min(FIRST_TEXT_ID, config.vocab_size - 1), config.vocab_size, length)
            result.append(Request(prompt.tolist(), new))
        return result


@dataclass(frozen=True)
class Run:
    """The result of one pass over the requests; times in seconds since its start, one list a request."""

    completions: list[list[int]]
    times: list[list[float]]

    @property
    def new_tokens(self) -> int:
        return sum(len(completion) for completion in self.completions)

    def measured(self) -> dict[str, float]:
        """Return tokens/s, and percentiles in milliseconds: to the first token, and between tokens."""
        gaps = [after - before for times in self.times for before, after in zip(times, times[1:], strict=False)]
        first = [times[0] for times in self.times]
        wall = max(times[-1] for times in self.times)
        return {"tokens_per_s": self.new_tokens / wall, "wall_s": wall} | {
            f"{name}_p{percent}_ms": 1000 * float(np.percentile(values or [0.0], percent))
            for name, values in (("time_to_first_token", first), ("time_per_output_token", gaps))
            for percent in (50, 95)
        }


def timed(engine: Engine, requests: Sequence[Request]) -> Run:
    """Run the requests, and note when each token came."""
    times: list[list[float]] = [[] for _ in requests]
    begin = time.perf_counter()
    completions = engine.run(requests, lambda index, _: times[index].append(time.perf_counter() - begin))
    return Run(completions, times)


def occupancy(requests: Sequence[Request], batch_size: int) -> dict[str, float]:
    """Return the share of the rows computed in fixed batches that gave a wanted token, and the share of the reserved
    cache slots that were ever filled: what paging and continuous batching would gain."""
    wanted = rows = filled = slots = 0
    for begin in range(0, len(requests), batch_size):
        batch = requests[begin : begin + batch_size]
        steps = max(request.max_new_tokens for request in batch)
        wanted += sum(request.max_new_tokens for request in batch)
        rows += steps * len(batch)
        filled += sum(len(request.prompt) + request.max_new_tokens for request in batch)
        slots += (max(len(request.prompt) for request in batch) + steps) * len(batch)
    return {"rows": wanted / rows, "cache_slots": filled / slots}


def digest(completions: list[list[int]]) -> str:
    """Return the sha256 of the token ids as JSON."""
    return hashlib.sha256(json.dumps(completions, separators=(",", ":")).encode()).hexdigest()


def facts(config: ModelConfig, requests: Sequence[Request], runs: dict[int, Run], bytes_per_value: int) -> dict:
    """Return what does not depend on the clock. `runs`: by batch size."""
    per_token = kv_bytes_per_token(Shape.of(config), bytes_per_value)
    lengths = [len(request.prompt) + request.max_new_tokens for request in requests]
    first = next(iter(runs.values()))
    return {
        "workload": {
            "requests": len(requests),
            "prompt_tokens": sum(len(request.prompt) for request in requests),
            "new_tokens": first.new_tokens,
            "longest_request_tokens": max(lengths),
        },
        "kv_cache": {
            "formula": "2 n_layers n_kv_heads d_head bytes_per_value",
            "bytes_per_value": bytes_per_value,
            "bytes_per_token": per_token,
            "bytes_longest_request": per_token * max(lengths),
            "bytes_full_context_request": per_token * config.context_length,
            "bytes_all_requests": per_token * sum(lengths),
        },
        "batches": {
            str(batch_size): {
                "occupancy": occupancy(requests, batch_size),
                "outputs_sha256": digest(run.completions),
                "requests_equal_to_batch_1": sum(
                    ours == alone for ours, alone in zip(run.completions, first.completions, strict=True)
                ),
            }
            for batch_size, run in runs.items()
        },
    }
