"""The fused layers against the model's own operators, to the bit; reordered matrices against F.linear."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from kernels.decoder import gate, rotate_and_store
from kernels.panels import has_instruction
from llm.deploy.quantize.operators import run_quantized
from llm.inference import fused, reordered
from llm.inference.adapters import Update
from llm.inference.attention import raw
from llm.inference.engine import Engine, EngineSettings
from llm.inference.reordered import (
    Matrix,
    Part,
    ReorderedEmbedding,
    ReorderedLinear,
    agrees,
    can_reorder,
    cut_of,
    join,
    reorder,
    side_by_side,
)
from llm.inference.row_by_row import linear, uses_tiles
from llm.inference.scheduler import Limits
from llm.inference.sequence import Request
from llm.inference.training import log_probs
from llm.model.positions import rotate
from llm.model.transformer import RMSNorm

BF16 = torch.zeros(1, 1).bfloat16()
needs_bf16 = pytest.mark.skipif(not can_reorder(BF16), reason="this processor's oneDNN has no bf16")
needs_onednn_s_order = pytest.mark.skipif(uses_tiles(), reason="oneDNN multiplies tiles here, in orders that differ")


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).mul(3).bfloat16()


@pytest.mark.parametrize("width", [24, 128, 576, 1040, 2048, 4100])
def test_norms_are_torch_s_to_the_bit(width: int) -> None:
    lanes = fused.lanes_of_sums(width)
    assert lanes is not None
    x_RD, added_RD, norm = drawn(0, 300, width), drawn(1, 300, width), RMSNorm(width, 1e-5).bfloat16()
    norm.weight.data = drawn(2, width)
    own = fused.Norm.of(norm)
    with torch.no_grad():
        expected_RD = norm(x_RD + added_RD)
    sum_RD, found_RD = x_RD.clone(), torch.empty_like(x_RD)
    fused.normalised(raw(sum_RD), added_RD, own, lanes, raw(found_RD))
    assert torch.equal(found_RD, expected_RD)
    assert torch.equal(sum_RD, x_RD + added_RD)
    fused.normalised(raw(x_RD), None, own, lanes, raw(found_RD))
    assert torch.equal(found_RD, norm(x_RD).detach())


def test_what_is_no_number_stays_none() -> None:
    x_RD = drawn(0, 3, 64)
    x_RD[1, 5] = torch.nan
    found = torch.empty_like(x_RD)
    norm = fused.Norm.of(RMSNorm(64, 1e-5).bfloat16())
    fused.normalised(raw(x_RD), x_RD, norm, fused.lanes_of_sums(64) or 8, raw(found))
    assert found[1].isnan().all() and not found[[0, 2]].isnan().any()


def test_gates_are_torch_s_to_the_bit() -> None:
    """Also for each of the 65,536 numbers by the operator for numbers that are no neighbours."""
    x_RF, up_RF = drawn(0, 70, 1536), drawn(1, 70, 1536)
    found_RF = torch.empty_like(x_RF)
    gate(raw(torch.cat((x_RF, up_RF), 1)), fused.silu_table(), raw(found_RF))
    assert torch.equal(found_RF, F.silu(x_RF) * up_RF)
    apart = torch.zeros((2**16, 2), dtype=torch.bfloat16)
    apart[:, 0] = torch.arange(2**16, dtype=torch.int32).to(torch.int16).view(torch.bfloat16)
    expected = F.silu(apart[:, 0]).float()
    assert torch.equal(expected.nan_to_num(7), torch.from_numpy(fused.silu_table()).nan_to_num(7))


@pytest.mark.parametrize("width", [6, 64])
def test_rotations_are_torch_s_to_the_bit(width: int) -> None:
    """Queries come out, keys and values stand in their blocks, rows of padding nowhere."""
    rows, used, heads, kv_heads = 104, 99, 6, 2
    q_RE, k_RE, v_RE = (drawn(seed, rows, n * width) for seed, n in enumerate((heads, kv_heads, kv_heads)))
    angle_P = torch.rand(width // 2, generator=torch.Generator().manual_seed(3))
    angle_BTH = (torch.arange(rows)[:, None] * torch.cat((angle_P, angle_P)))[None]
    cos, sin = angle_BTH.cos(), angle_BTH.sin()
    expected_q, expected_k = (
        rotate(x.view(1, rows, -1, width).transpose(1, 2), cos, sin)[0].transpose(0, 1) for x in (q_RE, k_RE)
    )
    keys, values = np.zeros((5, kv_heads, width, 32), np.int16), np.zeros((5, kv_heads, 32, width), np.int16)
    found_q = torch.zeros((rows, heads, width))
    place = np.random.default_rng(0).permutation(5 * 32)[:used]
    bf16_cos, bf16_sin = (table[0].bfloat16().float().numpy() for table in (cos, sin))
    qkv = raw(torch.cat((q_RE, k_RE, v_RE), 1))
    rotate_and_store(qkv, bf16_cos, bf16_sin, place // 32, place % 32, keys, values, found_q.numpy())
    assert torch.equal(found_q[:used], expected_q[:used].float())
    stored = keys.transpose(0, 3, 1, 2).reshape(-1, kv_heads, width), values.transpose(0, 2, 1, 3)
    assert np.array_equal(stored[0][place], raw(expected_k.contiguous())[:used])
    assert np.array_equal(stored[1].reshape(-1, kv_heads * width)[place], raw(v_RE)[:used])
    empty = np.setdiff1d(np.arange(5 * 32), place)
    assert not stored[0][empty].any()


SHAPES = [(1536, 576), (576, 1536), (192, 64), (72, 24), (4096, 128), (512, 2048), (1024, 4096), (65, 33), (40, 1056)]


@needs_bf16
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize(("n_out", "n_in"), SHAPES)
def test_reordered_matrices_give_linear_s_bytes(n_out: int, n_in: int, kernel: bool, monkeypatch) -> None:
    """Whatever rows are beside a row, and however many; by the kernel and, as on a processor without its instruction,
    by oneDNN."""
    if not kernel and uses_tiles():
        pytest.skip("oneDNN multiplies tiles here, in orders that differ with the number of rows")
    if not kernel:
        monkeypatch.setattr(reordered, "has_instruction", lambda: False)
    weight, bias, x_MK = drawn(0, n_out, n_in), drawn(1, n_out), drawn(2, 512, n_in)
    layer = ReorderedLinear(weight, bias)
    assert (layer.matrix.cut is not None) == (kernel and (n_in % 2 == 0 or uses_tiles()) and has_instruction())
    expected = linear(x_MK, weight, bias)
    alone = [(row, 1) for row in range(512)]  # by oneDNN one number in 7,000 of a lone row with 1,536 inputs differs
    for begin, rows in (*alone, (0, 512), (100, 2), (100, 3), (7, 6), (0, 8), (1, 17), (9, 34), (64, 64), (5, 131)):
        assert torch.equal(layer(x_MK[begin : begin + rows]), expected[begin : begin + rows])


@needs_bf16
@pytest.mark.skipif(not has_instruction(), reason="this processor has no AVX512-BF16")
def test_what_multiplies_is_said(random_lm, monkeypatch) -> None:
    """And why it is not the kernel."""
    kind = "AMX" if uses_tiles() else "AVX512-BF16"
    assert all(f"kernel for {kind}" in line for line in reordered.table(reorder(random_lm().bfloat16())))
    monkeypatch.setattr(reordered, "uses_tiles", lambda: False)
    monkeypatch.setattr(reordered, "has_instruction", lambda: False)
    lines = list(reordered.table(reorder(random_lm().bfloat16())))
    assert lines and all(line.endswith("oneDNN: this processor has no AVX512-BF16") for line in lines)


@needs_bf16
@needs_onednn_s_order
@pytest.mark.skipif(not has_instruction(), reason="this processor has no AVX512-BF16")
@pytest.mark.parametrize(("n_in", "right"), [(576, 512), (1024, 512), (1056, 1024), (1536, 1024), (4096, 1024)])
def test_a_wrong_order_of_sums_is_seen(n_in: int, right: int) -> None:
    """Though bf16 hides nearly all of the difference: one number of 12,000 differs."""
    matrix = Matrix(drawn(0, 192, n_in))
    assert cut_of(n_in) == right
    assert [cut for cut in (256, 512, 1024, 4096) if agrees(matrix, cut)] == [right]


@needs_bf16
@pytest.mark.parametrize(("n_rows", "width"), [(4096, 128), (515, 64), (300, 24), (1000, 576)])
def test_a_reordered_matrix_gives_its_rows(n_rows: int, width: int) -> None:
    """Which a tied model's embedding takes from the output layer, bit by bit; one in another order stays."""
    weight = drawn(0, n_rows, width)
    layer = ReorderedLinear(weight, None)
    found = ReorderedEmbedding.of(layer.matrix, weight)
    assert found is not None
    tokens = torch.randint(0, n_rows, (3, 50), generator=torch.Generator().manual_seed(1))
    assert torch.equal(found(tokens), F.embedding(tokens, weight))
    assert ReorderedEmbedding.of(layer.matrix, weight.roll(1, 0)) is None


@needs_bf16
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(
    ("n_in", "widths"),
    [(576, (576, 192, 192)), (576, (1536, 1536)), (2048, (512, 128)), (64, (64, 32, 32)), (24, (72, 72))],
)
def test_joined_matrices_give_linear_s_bytes(n_in: int, widths: tuple[int, ...]) -> None:
    """The whole and its parts, whatever rows are beside a row."""
    weights, biases = [drawn(n, width, n_in) for n, width in enumerate(widths)], [drawn(9, width) for width in widths]
    names = tuple(f"part{n}" for n in range(len(widths)))
    pairs = zip(names, weights, biases, strict=True)
    module = torch.nn.ModuleDict({name: ReorderedLinear(*layer) for name, *layer in pairs})
    join(module, names)
    parts = [module[name] for name in names]
    assert isinstance(parts[0], Part) and parts[0].whole is parts[1].whole
    x_MK = drawn(2, 512, n_in)
    expected = [linear(x_MK, *layer) for layer in zip(weights, biases, strict=True)]
    for begin, rows in ((0, 512), (3, 2), (100, 4), (0, 8), (9, 34), (64, 64), (5, 130)):
        some = x_MK[begin : begin + rows]
        assert torch.equal(side_by_side(parts)(some), torch.cat(expected, 1)[begin : begin + rows])
        for part, each in zip(parts, expected, strict=True):
            assert torch.equal(part(some), each[begin : begin + rows])


@needs_bf16
def test_layers_of_two_kinds_stay_apart() -> None:
    module = torch.nn.ModuleDict({"a": ReorderedLinear(drawn(0, 32, 16), None), "b": torch.nn.Linear(16, 8).bfloat16()})
    join(module, ("a", "b"))
    assert isinstance(module["a"], ReorderedLinear)
    x_MK = drawn(1, 8, 16)
    assert torch.equal(side_by_side([module["a"], module["b"]])(x_MK)[:, 32:], module["b"](x_MK))


@needs_bf16
@pytest.mark.parametrize("changes", [{}, {"tie_embeddings": False}, {"position": "alibi"}, {"qk_norm": True}], ids=str)
def test_a_served_model_s_answers_are_the_plain_one_s(random_lm, changes: dict) -> None:
    """Fused and reordered, or not: the same tokens and log-probabilities, which are training's, too."""
    requests = [Request([9 + seed, 10, 11] * (1 + 5 * seed), 9, 0.8, seed=seed, logprobs=1) for seed in range(5)]
    plain = random_lm(**changes).bfloat16()
    unfused = Engine(plain)
    unfused.runner.fuses = False
    expected = unfused.generate(requests)
    served = run_quantized(random_lm(**changes), "dense")
    engine = Engine(served, EngineSettings())
    assert engine.runner.fuses == (not changes.get("qk_norm") and "position" not in changes)
    assert engine.runner.multiple == 1
    assert isinstance(served.model.embed_tokens, ReorderedEmbedding) == served.config.tie_embeddings
    assert isinstance(served.model.layers[0].mlp.up_proj, Part) == engine.runner.fuses
    assert [each.completions for each in engine.generate(requests)] == [each.completions for each in expected]
    for output in expected:
        told = output.completions[0]
        with torch.no_grad():
            said = log_probs(plain, torch.tensor([[*output.request.prompt, *told.tokens]]))
        assert told.logprobs == said[0, len(output.request.prompt) - 1 :].tolist()


def test_the_layers_are_one_call_on_one_thread_alone(random_lm, monkeypatch, threads: int) -> None:
    """In decoding; with the bytes of many calls, and not for layers that adapters add to."""
    seen, run = [], getattr(fused, "run_layers", None)
    monkeypatch.setattr(fused, "run_layers", lambda x, *given: (seen.append(len(x)), run(x, *given)))
    engine = Engine(run_quantized(random_lm(), "dense"))
    requests = [Request([9, 10, 11 + seed] * 10, 12, 0.8, seed=seed, logprobs=1) for seed in range(3)]
    found = engine.generate(requests)
    assert seen == ([3] * 11 if has_instruction() and threads == 1 else [])
    engine.runner.one_call = None
    engine.forget_prefixes()
    assert [each.completions for each in engine.generate(requests)] == [each.completions for each in found]
    assert len(seen) in (0, 11)
    update = Update(torch.zeros(2, 48), torch.zeros(48, 2), 1.0)
    adapted = Engine(
        run_quantized(random_lm(), "dense"), None, None, {"a": {"model.layers.0.self_attn.q_proj": update}}
    )
    assert adapted.runner.one_call is None


@needs_bf16
def test_the_last_layer_ends_with_the_rows_that_are_asked_for(random_lm) -> None:
    """Of a prompt that is its last; of the prompts of a chunk none; all where a prompt is scored."""
    model, seen = run_quantized(random_lm(), "dense"), []
    engine = Engine(model, EngineSettings(limits=Limits(token_budget=16)))
    engine.runner.one_call = None  # what is decoded goes by there, too
    product = engine.runner.layers[-1].down
    engine.runner.layers[-1] = replace(engine.runner.layers[-1], down=lambda x: (seen.append(len(x)), product(x))[1])
    engine.generate([Request([*range(5, 41)], 2)])
    assert seen == [1, 1]  # two chunks of 16 tokens have none
    seen.clear()
    engine.generate([Request([*range(6, 13)], 1), Request([*range(7, 12)], 1), Request([*range(8, 11)], 1)])
    assert seen == [3]
    seen.clear()
    engine.generate([Request([*range(9, 23)], 0, prompt_logprobs=0)])
    assert seen == [13]


def test_what_cannot_be_fused_is_not(random_lm) -> None:
    """fp32 weights, and keys and values in int8, have torch's operators; reordering leaves fp32 alone."""
    model = random_lm()
    assert not fused.can_fuse(model) and reorder(model) is model and not hasattr(model, "lm_head")
    assert not Engine(random_lm().bfloat16(), EngineSettings(kv_dtype=torch.int8)).runner.fuses
