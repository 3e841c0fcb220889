"""The load test: what it repeats exactly, and the seed's cache formula."""

import json

import numpy as np
import pytest

from llm.deploy.serve.benchmark import Workload
from llm.deploy.settings.serve_benchmark import ServeBenchmarkSettings
from llm.errors import InputError
from llm.model.config import ModelConfig
from llm.model.counts import kv_bytes_per_token
from llm.model.shape import Shape
from scripts.deploy import serve_benchmark

SETTINGS = ServeBenchmarkSettings(
    requests=6,
    prompt_tokens=[3, 40],
    new_tokens=[2, 12],
    batch_size=4,
    shared_tokens=33,
    arrival_rates=[100],
    seed=0,
)


def test_facts_repeat_and_every_way_gives_the_same_tokens(hf_directory, tmp_path):
    directory = hf_directory("base")
    metrics = serve_benchmark.main(directory, tmp_path / "one.json", settings=SETTINGS)
    serve_benchmark.main(directory, tmp_path / "two.json", settings=SETTINGS)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    facts = json.loads((tmp_path / "one.json").read_text())
    assert facts["workload"]["new_tokens"] == metrics["new_tokens"]
    assert facts["kv_cache"]["bytes_per_token"] == 2 * 2 * 2 * 8 * 4
    runs = facts["runs"]
    assert {run["requests_equal_to_alone"] for run in runs.values()} == {6}
    assert len({run["outputs_sha256"] for run in runs.values()}) == 1
    assert runs["alone"]["steps"] == facts["workload"]["new_tokens"] > runs["static"]["steps"]
    assert runs["static"]["steps"] >= runs["continuous"]["steps"]
    assert all(run["blocks_held_at_most"] <= run["blocks_reserved_whole"] for run in runs.values())
    assert metrics["arrivals"]["100"]["tokens_per_s"] > 0
    assert metrics["static"]["time_to_first_token_p50_ms"] <= metrics["static"]["time_to_first_token_p99_ms"]


def test_arrivals_are_a_seeded_poisson_process():
    workload = Workload(4000, (1, 2), (1, 2), 7)
    arrivals = workload.arrivals(50.0)
    assert arrivals == workload.arrivals(50.0) == sorted(arrivals)
    gaps = np.diff(arrivals)
    assert gaps.mean() == pytest.approx(1 / 50, rel=0.05) and gaps.std() == pytest.approx(1 / 50, rel=0.05)


def test_prompts_share_a_beginning(random_lm):
    requests = Workload(50, (3, 20), (2, 12), 0, shared=8).requests(random_lm().config)
    assert len({tuple(request.prompt[:8]) for request in requests if len(request.prompt) > 8}) == 1


def test_cache_formula_gives_the_seed_figures_for_llama_7b():
    """2 x 32 layers x 32 heads x 128 x 2 bytes = 524 KB a token, 2.1 GB at 4096 tokens."""
    config = ModelConfig(32000, 4096, 32, 32, 32, 128, 11008, 4096)
    assert kv_bytes_per_token(Shape.of(config), 2) == 524_288
    assert kv_bytes_per_token(Shape.of(config), 2) * 4096 == 2_147_483_648


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
