"""The load test: what it repeats exactly, and the seed's cache formula."""

import json

import pytest

from llm.deploy.serve.benchmark import Workload, occupancy
from llm.deploy.serve.generate import Request
from llm.deploy.settings.serve_benchmark import ServeBenchmarkSettings
from llm.errors import InputError
from llm.model.config import ModelConfig
from llm.model.counts import kv_bytes_per_token
from llm.model.shape import Shape
from scripts.deploy import serve_benchmark

SETTINGS = ServeBenchmarkSettings(
    requests=6, prompt_tokens=[3, 20], new_tokens=[2, 12], batch_size=4, uncached_requests=2, seed=0
)


def test_facts_repeat_and_agree_between_batch_sizes(hf_directory, tmp_path):
    directory = hf_directory("base")
    metrics = serve_benchmark.main(directory, tmp_path / "one.json", settings=SETTINGS)
    serve_benchmark.main(directory, tmp_path / "two.json", settings=SETTINGS)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    facts = json.loads((tmp_path / "one.json").read_text())
    assert facts["workload"]["new_tokens"] == metrics["new_tokens"]
    assert facts["batches"]["4"]["requests_equal_to_batch_1"] == 6
    assert facts["batches"]["4"]["outputs_sha256"] == facts["batches"]["1"]["outputs_sha256"]
    assert facts["without_cache"] == {"requests": 2, "requests_equal_to_cached": 2}
    assert facts["kv_cache"]["bytes_per_token"] == 2 * 2 * 2 * 8 * 4
    assert facts["batches"]["1"]["occupancy"] == {"rows": 1.0, "cache_slots": 1.0}
    assert metrics["batch_1"]["tokens_per_s"] > 0
    assert metrics["batch_4"]["time_to_first_token_p50_ms"] <= metrics["batch_4"]["time_to_first_token_p95_ms"]


def test_cache_formula_gives_the_seed_figures_for_llama_7b():
    """2 x 32 layers x 32 heads x 128 x 2 bytes = 524 KB a token, 2.1 GB at 4096 tokens."""
    config = ModelConfig(32000, 4096, 32, 32, 32, 128, 11008, 4096)
    assert kv_bytes_per_token(Shape.of(config), 2) == 524_288
    assert kv_bytes_per_token(Shape.of(config), 2) * 4096 == 2_147_483_648


def test_occupancy_counts_idle_rows():
    requests = [Request([8] * 4, 10), Request([8] * 2, 5), Request([8], 1)]
    assert occupancy(requests, 2) == {"rows": 16 / 21, "cache_slots": 23 / 30}
    assert occupancy(requests, 1) == {"rows": 1.0, "cache_slots": 1.0}


def test_workload_is_seeded_and_fits(random_lm):
    config = random_lm().config
    workload = Workload(200, (3, 20), (2, 12), 0)
    requests = workload.requests(config)
    assert requests == workload.requests(config) != Workload(200, (3, 20), (2, 12), 1).requests(config)
    assert {len(request.prompt) for request in requests} == set(range(3, 21))
    assert all(8 <= token < 400 for request in requests for token in request.prompt)
    with pytest.raises(InputError, match=r"up to 70 tokens, model.context_length is 64"):
        Workload(1, (3, 50), (2, 20), 0).requests(config)
    with pytest.raises(InputError, match=r"serve.new_tokens: \[5, 2\]"):
        Workload(1, (3, 5), (5, 2), 0).requests(config)
