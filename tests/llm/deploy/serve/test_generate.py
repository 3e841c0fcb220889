"""Generation: cached against uncached against by hand, batched against alone, sampling against its distribution."""

import json

import numpy as np
import pytest
import torch

from llm.deploy.serve.generate import Request, StaticEngine, generate, sample
from llm.deploy.settings.generate import GenerateSettings
from llm.errors import InputError
from scripts.deploy import generate as script

PROMPTS = [[1, 6, 30, 40, 7], [9], [8, 300, 301, 11, 12, 13, 14, 15, 16], [1, 6, 30, 40, 7]]
VARIANTS = [{}, {"tie_embeddings": False}, {"n_kv_heads": 6}, {"n_kv_heads": 1}]


def by_hand(model, prompt: list[int], n: int) -> list[int]:
    """Greedy, one row, no cache, nothing shared with the engine."""
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(n):
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    return ids[len(prompt) :]


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_greedy_is_argmax_with_and_without_cache_at_any_batch_size(changes, random_lm):
    model = random_lm(**changes)
    expected = [by_hand(model, prompt, 20) for prompt in PROMPTS]
    assert len({tuple(ids) for ids in expected}) == 3  # outputs are diverse: only the repeated prompt repeats
    requests = [Request(prompt, 20) for prompt in PROMPTS]
    for batch_size in (1, 3, 16):
        for use_cache in (True, False):
            assert StaticEngine(model, batch_size, use_cache).run(requests) == expected


def test_sampling_depends_on_the_request_alone(random_lm):
    model = random_lm()
    requests = [Request(prompt, 15, 1.3, top_k=50, top_p=0.95, seed=seed) for seed, prompt in enumerate(PROMPTS)]
    together = StaticEngine(model, 4).run(requests)
    assert StaticEngine(model, 2).run(requests[::-1]) == together[::-1]
    assert [StaticEngine(model, 1, use_cache=False).run([request])[0] for request in requests] == together
    assert together[0] != together[3]  # same prompt, another seed


def test_generate_numbers_its_streams(random_lm):
    model = random_lm()
    options = {"max_new_tokens": 10, "temperature": 1.0, "seed": 7}
    assert generate(model, PROMPTS, **options) == generate(model, PROMPTS, **options, batch_size=1)
    assert generate(model, PROMPTS[:2], **options) == generate(model, PROMPTS, **options)[:2]
    assert generate(model, PROMPTS, **options | {"seed": 8}) != generate(model, PROMPTS, **options)


def test_a_row_ends_at_its_stop_token_its_limit_or_the_context(random_lm):
    model = random_lm()
    free = by_hand(model, PROMPTS[0], 20)
    stop = free[5]
    requests = [
        Request(PROMPTS[0], 20, stop_ids=[stop]),
        Request(PROMPTS[1], 3),
        Request(list(range(8, 68)), 20),  # 60 of 64 tokens are taken
        Request(PROMPTS[0], 20),
    ]
    stopped, short, full, whole = StaticEngine(model, 4).run(requests)
    assert stopped == free[: free.index(stop) + 1]
    assert (len(short), len(full)) == (3, 4)
    assert whole == free


def test_tokens_are_reported_as_they_come(random_lm):
    seen: list[tuple[int, int]] = []
    requests = [Request(prompt, 4) for prompt in PROMPTS]
    completions = StaticEngine(random_lm(), 2).run(requests, lambda index, token: seen.append((index, token)))
    assert [[token for index, token in seen if index == row] for row in range(4)] == completions
    assert [index for index, _ in seen] == [0, 1] * 4 + [2, 3] * 4


def test_sampling_follows_the_cut_distribution():
    logits = torch.tensor([2.0, 0.0, 1.0, -1.0, 3.0])
    uniforms = (np.arange(4000) + 0.5) / 4000

    def frequencies(**options: float) -> torch.Tensor:
        request = Request([1], 1, **options)
        drawn = [sample(logits, request, float(uniform)) for uniform in uniforms]
        return torch.bincount(torch.tensor(drawn), minlength=5) / 4000

    assert torch.allclose(frequencies(temperature=1.0), logits.softmax(-1), atol=1e-3)
    assert torch.allclose(frequencies(temperature=2.0), (logits / 2).softmax(-1), atol=1e-3)
    top_2 = torch.tensor([2.0, -torch.inf, -torch.inf, -torch.inf, 3.0]).softmax(-1)
    assert torch.allclose(frequencies(temperature=1.0, top_k=2), top_2, atol=1e-3)
    # 0.636 and 0.234 reach 0.8; 0.086 would be the third.
    assert torch.allclose(frequencies(temperature=1.0, top_p=0.8), top_2, atol=1e-3)
    assert frequencies(temperature=1.0, top_p=1e-9)[4] == 1
    assert frequencies(temperature=1e-3)[4] == 1


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request([], 1), "a prompt of 0 tokens; this model takes 1 to 63"),
        (Request([8] * 64, 1), "a prompt of 64 tokens"),
        (Request([400], 1), "outside 0 ... 399"),
        (Request([8], 0), "ask for at least 1"),
        (Request([8], 1, temperature=-1.0), "temperature -1.0"),
        (Request([8], 1, top_p=0.0), "top_p 0.0"),
        (Request([8], 1, repetition_penalty=0.0), "repetition_penalty 0.0"),
    ],
)
def test_bad_requests_are_named(request_, message, random_lm):
    with pytest.raises(InputError, match=f"request 1: .*{message}"):
        StaticEngine(random_lm()).run([Request([8], 1), request_])


def test_answers_file_is_the_same_every_time(hf_directory, tmp_path):
    directory = hf_directory("base")
    outputs = []
    for name in ("one.json", "two.json"):
        metrics = script.main(
            directory, tmp_path / name, settings=GenerateSettings(prompts=["Quid est?", "Tota"], max_new_tokens=8)
        )
        outputs.append((tmp_path / name).read_bytes())
    answers = json.loads(outputs[0])
    assert outputs[0] == outputs[1]
    assert [answer["prompt"] for answer in answers] == ["Quid est?", "Tota"]
    assert metrics["new_tokens"] == sum(answer["tokens"] for answer in answers)
    with pytest.raises(InputError, match="prompts: give a JSON list"):
        script.main(directory, tmp_path / "one.json", settings=GenerateSettings(prompts=[], max_new_tokens=8))
