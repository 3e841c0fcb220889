"""The engine as a whole: greedy against argmax, log-probabilities against the model's, ends, aborts, refusals."""

import random

import pytest
import torch

from llm.errors import InputError
from llm.inference.attention import BLOCK, block_bytes
from llm.inference.engine import Engine, EngineSettings, generate
from llm.inference.scheduler import Limits
from llm.inference.sequence import Request
from llm.inference.training import log_probs

PROMPTS = [[1, 6, 30, 40, 7], [9], [8, 300, 301, 11, 12, 13, 14, 15, 16], [1, 6, 30, 40, 7]]
VARIANTS = [{}, {"tie_embeddings": False}, {"n_kv_heads": 6}, {"n_kv_heads": 1}]


def by_hand(model, prompt: list[int], n: int) -> list[int]:
    """Greedy, one row, no cache, nothing shared with the engine."""
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(n):
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    return ids[len(prompt) :]


def tokens(outputs) -> list[list[int]]:
    return [output.completions[0].tokens for output in outputs]


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_greedy_is_argmax(changes, deterministic, random_lm) -> None:
    model = random_lm(**changes)
    expected = [by_hand(model, prompt, 20) for prompt in PROMPTS]
    assert len({tuple(ids) for ids in expected}) == 3  # outputs are diverse: only the repeated prompt repeats
    requests = [Request(prompt, 20) for prompt in PROMPTS]
    for sequences in (1, 3, 16):
        settings = EngineSettings(limits=Limits(max_sequences=sequences), deterministic=deterministic)
        assert tokens(Engine(model, settings).generate(requests)) == expected


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.int8], ids=str)
def test_smaller_caches_stay_near(dtype, random_lm) -> None:
    """And hold the promise too: a request alone and among others."""
    model = random_lm()
    requests = [Request(prompt, 20, logprobs=0, temperature=1.0, seed=3) for prompt in PROMPTS]
    dense = Engine(model).generate(requests)
    small = Engine(model, EngineSettings(kv_dtype=dtype)).generate(requests)
    lone = [Engine(model, EngineSettings(kv_dtype=dtype)).generate([request])[0] for request in requests]
    assert [output.completions for output in small] == [output.completions for output in lone]
    first = [(a.completions[0].logprobs[0], b.completions[0].logprobs[0]) for a, b in zip(dense, small, strict=True)]
    assert all(a == pytest.approx(b, abs=0.05) for a, b in first)


def test_log_probabilities_are_the_model_s(random_lm) -> None:
    """Of new tokens and of the prompt's, before penalties, bias, temperature and cuts."""
    model = random_lm()
    request = Request(
        PROMPTS[2],
        12,
        1.5,
        top_k=9,
        repetition_penalty=1.2,
        logit_bias={5: 3.0},
        seed=1,
        n=2,
        logprobs=3,
        prompt_logprobs=2,
    )
    output = Engine(model).generate([request])[0]
    for completion in output.completions:
        with torch.no_grad():
            ids = torch.tensor([[*request.prompt, *completion.tokens]])
            expected = torch.log_softmax(model(ids)[0], -1)
        chosen = expected[:-1].gather(1, ids[0, 1:, None])[:, 0].tolist()
        assert output.prompt_logprobs + completion.logprobs == pytest.approx(chosen, abs=1e-4)
        for row, found in zip(expected, output.prompt_alternatives + completion.alternatives, strict=False):
            values, best = row.topk(len(found))
            assert [token for token, _ in found] == best.tolist()
            assert [value for _, value in found] == pytest.approx(values.tolist(), abs=1e-4)
    assert output.completions[0].tokens != output.completions[1].tokens
    scored = Engine(model).generate([Request(PROMPTS[2], 0, prompt_logprobs=0)])[0]
    assert scored.prompt_logprobs == output.prompt_logprobs
    assert (scored.completions[0].tokens, scored.completions[0].finish_reason) == ([], "length")


def test_siblings_share_the_prompt_s_blocks(random_lm) -> None:
    engine = Engine(random_lm(), EngineSettings(prefix_sharing=False))
    engine.add(Request([8] * 40, 20, 1.0, n=4))
    engine.step()
    assert engine.blocks.n_blocks - engine.blocks.n_free == 2  # 40 tokens in blocks of 32, for all four
    engine.step()
    assert engine.blocks.n_blocks - engine.blocks.n_free == 2 + 3  # the half-full one was copied for three of them


def test_cold_equals_warm_and_says_what_was_spared(random_lm) -> None:
    """A, B, A under eviction churn."""
    model = random_lm(context_length=256)
    a, b = ([chance.randrange(8, 400) for _ in range(150)] for chance in map(random.Random, (1, 2)))
    per_block = block_bytes(model.config, torch.float32)
    engine = Engine(model, EngineSettings(kv_bytes=8 * per_block))
    seen = []
    for prompt in (a, b, a, a, b, a):
        output = engine.generate([Request(prompt, 10, logprobs=2)])[0]
        seen.append((prompt is a, output.cached_tokens, output.completions))
    assert [found for is_a, _, found in seen if is_a] == [seen[0][2]] * 4
    assert [found for is_a, _, found in seen if not is_a] == [seen[1][2]] * 2
    assert seen[0][1] == 0 and seen[3][1] == 128  # whole blocks of 32
    assert engine.blocks.evictions > 0
    other = engine.generate([Request(a, 10, salt="another tenant")])[0]
    assert other.cached_tokens == 0


def test_a_warm_engine_is_as_a_new_one(random_lm) -> None:
    cold, warm = map(Engine, [random_lm()] * 2)
    warm.warm_up()
    assert (warm.has_work, warm.sequences, warm.blocks.n_free) == (False, {}, cold.blocks.n_free)
    request = Request(PROMPTS[0], 8, logprobs=0, temperature=1.0, seed=3)
    one, two = (engine.generate([request])[0] for engine in (cold, warm))
    assert (one.completions, 0, 0) == (two.completions, one.cached_tokens, two.cached_tokens)


def test_new_weights_need_new_prefixes(random_lm) -> None:
    model = random_lm()
    engine = Engine(model)
    request = Request(list(range(8, 48)), 10, logprobs=0)
    before = engine.generate([request])
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1.2)
    engine.forget_prefixes()
    after = engine.generate([request])
    assert after == Engine(model).generate([request]) != before
    assert after[0].cached_tokens == 0
    engine.add(request)
    with pytest.raises(RuntimeError, match="requests are running"):
        engine.forget_prefixes()


def test_guesses_change_speed_alone(random_lm) -> None:
    """A model that repeats itself: fewer steps, the same bytes."""
    model = random_lm()
    requests = [Request([9, 10, 11] * 5, 40, seed=4, logprobs=1), Request([9, 10, 11] * 5, 40, 0.3, seed=4, logprobs=1)]
    steps = []
    for draft_tokens in (0, 4):
        engine = Engine(model, EngineSettings(draft_tokens=draft_tokens))
        numbers = [engine.add(request) for request in requests]
        outputs = [engine.output(number) for number in numbers]
        steps.append([0, [output.completions for output in outputs]])
        while engine.has_work:
            engine.step()
            steps[-1][0] += 1
    assert steps[0][1] == steps[1][1]
    assert steps[1][0] < steps[0][0]


def test_siblings_begin_where_the_prompt_ends(random_lm) -> None:
    """Though the step that computes the prompt's last token, alone, could guess ahead."""
    request = Request([9, 10, 11] * 5 + [9, 10], 20, seed=4, n=3, logprobs=1)
    model, chunks = random_lm(), Limits(token_budget=16)
    plain, guessed = (Engine(model, EngineSettings(limits=chunks, draft_tokens=each)) for each in (0, 4))
    assert guessed.generate([request]) == plain.generate([request])


def test_autocast_has_training_s_bytes_too(random_lm) -> None:
    """Weights in fp32, products in bf16, as a trainer computes them."""
    model = random_lm()
    request = Request(PROMPTS[2], 12, 1.0, seed=1, logprobs=0)
    with torch.autocast("cpu", torch.bfloat16):
        found = Engine(model).generate([request])[0].completions[0]
        with torch.no_grad():
            expected = log_probs(model, torch.tensor([[*request.prompt, *found.tokens]]))[0, len(request.prompt) - 1 :]
    assert found.logprobs == expected.tolist()
    assert found.logprobs != Engine(model).generate([request])[0].completions[0].logprobs


def test_a_completion_ends_where_it_should(random_lm) -> None:
    model = random_lm()
    free = by_hand(model, PROMPTS[0], 20)
    requests = [
        Request(PROMPTS[0], 20, stop_ids=[free[5]]),
        Request(PROMPTS[1], 3),
        Request(list(range(8, 68)), 20),  # 60 of 64 tokens are taken
        Request(PROMPTS[0], 20),
        Request(PROMPTS[0], 20, stop_texts=[f"{free[2]} {free[3]}", "never"]),
    ]
    engine = Engine(model, decode=lambda ids: "".join(f" {token}" for token in ids))
    outputs = engine.generate(requests)
    full = by_hand(model, [*range(8, 68)], 4)
    assert tokens(outputs) == [free[: free.index(free[5]) + 1], by_hand(model, PROMPTS[1], 3), full, free, free[:4]]
    reasons = [output.completions[0].finish_reason for output in outputs]
    assert reasons == ["stop", "length", "length", "length", "stop"]


def test_a_prompt_alone_ends_for_all_its_completions(random_lm) -> None:
    engine = Engine(random_lm())
    number = engine.add(Request(PROMPTS[0], 0, n=3, prompt_logprobs=1))
    output = engine.output(number)
    events = engine.step()
    assert [(event.completion, event.token, event.finished) for event in events] == [
        (index, -1, "length") for index in range(3)
    ]
    assert output.finished and not engine.sequences and engine.blocks.n_free == engine.blocks.n_blocks


def test_streams_are_numbered(random_lm) -> None:
    model = random_lm()
    options = {"max_new_tokens": 10, "temperature": 1.0, "seed": 7}
    assert generate(model, PROMPTS[:2], **options) == generate(model, PROMPTS, **options)[:2]
    assert generate(model, PROMPTS, **options | {"seed": 8}) != generate(model, PROMPTS, **options)


def test_ten_thousand_requests_with_aborts_in_every_state(random_lm) -> None:
    """Queued, within a prompt, decoding, preempted, ended, unknown: all blocks come back."""
    model = random_lm(d_model=8, n_layers=1, n_heads=1, n_kv_heads=1, d_ff=8, vocab_size=64)
    per_block = block_bytes(model.config, torch.float32)
    settings = EngineSettings(kv_bytes=24 * per_block, limits=Limits(token_budget=64, max_sequences=64))
    engine = Engine(model, settings)
    chance = random.Random(0)
    aborted = dict.fromkeys(("queued", "prompt", "decoding", "preempted", "gone"), 0)
    live: list[int] = []
    for _ in range(100):
        for _ in range(100):
            prompt = [chance.randrange(8, 64) for _ in range(chance.randrange(1, 50))]
            live.append(engine.add(Request(prompt, chance.randrange(1, 14), n=chance.choice([1, 1, 2]))))
        for _ in range(4):
            engine.step()
        for number in live[:-10]:
            found = engine.sequences.get(number)
            state = "gone"
            if found:
                leader = found[0]
                begun = len(leader.tokens) > len(leader.request.prompt)
                if leader in engine.scheduler.waiting:
                    state = "preempted" if begun else "queued"
                else:
                    state = "decoding" if begun else "prompt"
            aborted[state] += 1
            engine.abort(number)
            engine.abort(number)
        live = live[-10:]
        engine.blocks.check([each.table for each in engine.scheduler.running])
    while engine.has_work:
        engine.step()
    assert engine.blocks.n_free == engine.blocks.n_blocks == 24
    assert not engine.sequences and min(aborted.values()) > 0, aborted


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request([], 1), "a prompt of 0 tokens; this model takes 1 to 63"),
        (Request([8] * 64, 1), "a prompt of 64 tokens"),
        (Request([400], 1), r"outside 0 \.\.\. 399"),
        (Request([8], 0), "ask for at least 1"),
        (Request([8], 1, temperature=-1.0), "temperature -1.0"),
        (Request([8], 1, temperature=float("nan")), "temperature nan"),
        (Request([8], 1, top_p=0.0), "top_p 0.0"),
        (Request([8], 1, top_k=-1), "top_k -1"),
        (Request([8], 1, min_p=1.5), "min_p 1.5"),
        (Request([8], 1, repetition_penalty=0.0), "repetition_penalty 0.0"),
        (Request([8], 1, n=0), "n 0"),
        (Request([8], 1, logprobs=1000), "logprobs 1000"),
        (Request([8], 1, logit_bias={400: 1.0}), "logit_bias 400"),
        (Request([8], 1, stop_texts=["x"]), "made without a tokenizer"),
        (Request([8], 1, n=65), "at most 64 sequences"),
    ],
)
def test_bad_requests_are_named(request_, message, random_lm) -> None:
    with pytest.raises(InputError, match=f"request 1: .*{message}"):
        Engine(random_lm()).generate([Request([8], 1), request_])


def test_what_never_fits_is_refused(random_lm) -> None:
    model = random_lm(context_length=512)
    per_block = block_bytes(model.config, torch.float32)
    with pytest.raises(InputError, match="kv_bytes: 100 hold no block"):
        Engine(model, EngineSettings(kv_bytes=100))
    engine = Engine(model, EngineSettings(kv_bytes=4 * per_block))
    with pytest.raises(InputError, match="140 tokens need 5 blocks, the key-value cache has 4"):
        engine.add(Request([8] * 100, 40))
    assert len(tokens(engine.generate([Request([8] * 100, 4 * BLOCK - 100)]))[0]) == 28


def test_requests_that_come_together_compute_what_they_share_once(random_lm) -> None:
    """Two whole blocks in common, in one step or chunk by chunk; the answers are those of each alone. Who wants the
    prompt's log-probabilities, or has another salt, computes all of it."""
    model, common = random_lm(context_length=128), [7 + n % 300 for n in range(2 * BLOCK)]
    requests = [Request([*common, 9 + n, 10, 11 + n], 4, 1.0, seed=n, logprobs=0) for n in range(6)]
    apart = [Request([*common, 5], 4, salt="another", logprobs=0), Request([*common, 6], 4, prompt_logprobs=0)]
    lone = [Engine(model).generate([each])[0].completions for each in (*requests, *apart)]
    for budget in (512, 40, 8):
        engine = Engine(model, EngineSettings(limits=Limits(token_budget=budget)))
        assert [each.completions for each in engine.generate([*requests, *apart])] == lone
        assert engine.scheduler.hit_tokens == 5 * len(common)
    unshared = Engine(model, EngineSettings(prefix_sharing=False))
    assert [each.completions for each in unshared.generate(requests)] == lone[:6]
    assert unshared.scheduler.hit_tokens == 0
