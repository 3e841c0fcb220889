"""A load test of the engine: seeded mixed requests, greedy, all at once or as they arrive (Poisson). Facts, equal in
every run, are kept from times.

Prompts are random token ids: the load depends on lengths, not on content. Some of them begin alike, as under one system
prompt. There is no HTTP in it.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llm.errors import InputError
from llm.inference.engine import Engine
from llm.inference.sequence import Request
from llm.model.config import ModelConfig
from llm.model.counts import kv_bytes_per_token
from llm.model.shape import Shape

FIRST_TEXT_ID = 8  # smaller ids are control tokens
PERCENTILES = (50, 99)


@dataclass(frozen=True)
class Workload:
    """`n_requests` with prompt and new-token lengths drawn uniformly from ranges, both ends included. Prompts longer
    than `shared` tokens have so many at their beginning in common."""

    n_requests: int
    prompt_tokens: tuple[int, int]
    new_tokens: tuple[int, int]
    seed: int
    shared: int = 0

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
        first_id = min(FIRST_TEXT_ID, config.vocab_size - 1)
        beginning = random.integers(first_id, config.vocab_size, self.shared).tolist()
        result = []
        for _ in range(self.n_requests):
            length = int(random.integers(self.prompt_tokens[0], self.prompt_tokens[1] + 1))
            new = int(random.integers(self.new_tokens[0], self.new_tokens[1] + 1))
            prompt = random.integers(first_id, config.vocab_size, length).tolist()
            if length > self.shared:
                prompt[: self.shared] = beginning
            result.append(Request(prompt, new))
        return result

    def arrivals(self, rate: float) -> list[float]:
        """Draw when the requests come, in seconds: a Poisson process of `rate` a second."""
        random = np.random.Generator(np.random.PCG64((self.seed, 1)))
        return random.exponential(1 / rate, self.n_requests).cumsum().tolist()


@dataclass(frozen=True)
class Run:
    """The result of one pass over the requests. times: in seconds since each request came, one list a request.
    used, reserved: the most blocks that were held at once, and the most that would have been, had each running request
    held room for all its tokens from its beginning to its end."""

    completions: list[list[int]]
    times: list[list[float]]
    wall: float
    steps: int
    used: int
    reserved: int

    @property
    def new_tokens(self) -> int:
        return sum(len(completion) for completion in self.completions)

    def measured(self) -> dict[str, float]:
        """Return tokens/s, and percentiles in milliseconds: to the first token, and between tokens."""
        gaps = [after - before for times in self.times for before, after in zip(times, times[1:], strict=False)]
        first = [times[0] for times in self.times]
        return {"tokens_per_s": self.new_tokens / self.wall, "wall_s": self.wall} | {
            f"{name}_p{percent}_ms": 1000 * float(np.percentile(values or [0.0], percent))
            for name, values in (("time_to_first_token", first), ("time_per_output_token", gaps))
            for percent in PERCENTILES
        }


def timed(
    engine: Engine, requests: Sequence[Request], arrivals: Sequence[float] | None = None, batch_size: int | None = None
) -> Run:
    """Run the requests, and note when each token came. arrivals: when they come, else all at once. batch_size: so many
    run to the end of the longest before others begin, as in static batching."""
    arrivals = arrivals or [0.0] * len(requests)
    times: list[list[float]] = [[] for _ in requests]
    completions: list[list[int]] = [[] for _ in requests]
    index_of: dict[int, int] = {}
    steps = used = reserved = 0
    begin = time.perf_counter()
    while engine.has_work or len(index_of) < len(requests):
        now = time.perf_counter() - begin
        room = batch_size or len(requests)
        while len(index_of) < len(requests) and arrivals[len(index_of)] <= now and room:
            if batch_size and engine.has_work and len(index_of) % batch_size == 0:
                break
            index_of[engine.add(requests[len(index_of)])] = len(index_of)
            room -= 1
        if not engine.has_work:
            time.sleep(max(0.0, arrivals[len(index_of)] - now))
            continue
        events = engine.step()
        steps += 1
        blocks = engine.blocks
        used = max(used, blocks.n_blocks - blocks.n_free)
        whole = (min(len(each.request.prompt) + each.request.max_new_tokens, each.limit) for each in engine.running)
        reserved = max(reserved, sum(blocks.blocks_for(length) for length in whole))
        now = time.perf_counter() - begin
        for event in events:
            index = index_of[event.request]
            times[index].append(now - arrivals[index])
            completions[index].append(event.token)
    return Run(completions, times, time.perf_counter() - begin, steps, used, reserved)


def digest(completions: list[list[int]]) -> str:
    """Return the sha256 of the token ids as JSON."""
    return hashlib.sha256(json.dumps(completions, separators=(",", ":")).encode()).hexdigest()


def facts(config: ModelConfig, requests: Sequence[Request], runs: dict[str, Run], bytes_per_value: int) -> dict:
    """Return what does not depend on the clock. `runs`: by name, all requests at once; the first is compared with."""
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
        "runs": {
            name: {
                "steps": run.steps,
                "blocks_held_at_most": run.used,
                "blocks_reserved_whole": run.reserved,
                "outputs_sha256": digest(run.completions),
                "requests_equal_to_alone": sum(
                    ours == alone for ours, alone in zip(run.completions, first.completions, strict=True)
                ),
            }
            for name, run in runs.items()
        },
    }
