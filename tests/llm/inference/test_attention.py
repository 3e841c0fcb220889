"""The kernel against plain tensors (to the bit) and against torch's attention (nearly), over a scattered pool."""

import numpy as np
import pytest
import torch

from llm.inference import fixed_order
from llm.inference.attention import BLOCK, KVPool, Layout, PagedAttention, Threads, block_bytes
from llm.model.config import ModelConfig

CPU = torch.device("cpu")
# Three sequences: a prompt's beginning, a token far in, a chunk; then 3 rows of padding.
POSITIONS = np.concatenate([np.arange(70), [300], np.arange(30, 97), [0, 0, 0]]).astype(np.int64)
LAYOUT = Layout(POSITIONS, [(0, 70), (70, 71), (71, 138)], np.random.default_rng(0).permutation(40)[:30].reshape(3, 10))


def found(way: str, dtype: torch.dtype, threads: int = 1, **changes: object) -> torch.Tensor:
    """What the rows find in a pool full of other numbers."""
    sizes = {"n_heads": 6, "n_kv_heads": 2, "d_head": 16} | changes
    config = ModelConfig(**{"vocab_size": 64, "d_model": 96, "n_layers": 1, "d_ff": 64, "context_length": 512, **sizes})
    pool = KVPool(config, 40, dtype, CPU)
    generator = torch.Generator().manual_seed(0)
    dense = torch.bfloat16 if dtype == torch.bfloat16 else torch.float32
    rows = torch.arange(40 * BLOCK)
    old = (torch.randn(len(rows), config.n_kv_heads, config.d_head, generator=generator) for _ in "kv")
    pool.store(0, *old, rows // BLOCK, rows % BLOCK)
    n = len(LAYOUT.position_R)
    q, k, v = (
        torch.randn(1, heads, n, config.d_head, generator=generator).mul(2).to(dense)
        for heads in (config.n_heads, config.n_kv_heads, config.n_kv_heads)
    )
    attention = PagedAttention(config, pool, LAYOUT, way, Threads(threads))
    return attention.attend(0, q, k, v)


@pytest.mark.parametrize(
    "changes", [{}, {"position": "alibi"}, {"d_head": 6}, {"n_kv_heads": 6}, {"d_head": 64}, {"d_head": 128}], ids=str
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8], ids=str)
def test_plain_tensors_give_the_kernel_s_bytes(dtype: torch.dtype, changes: dict) -> None:
    expected = found("kernel", dtype, **changes)
    assert torch.equal(found("tensors", dtype, **changes), expected)
    assert torch.equal(found("kernel", dtype, threads=3, **changes), expected)
    near = found("sdpa", dtype, **changes)
    assert torch.allclose(near.float(), expected.float(), atol=0.1 if dtype == torch.bfloat16 else 2e-5)
    assert not expected[:, :, LAYOUT.n_rows :].any()  # padding gets nothing


def test_large_numbers_and_a_neighbour_that_is_no_number() -> None:
    """Scores of thousands do not overflow, and NaN in another's slots of a shared call stays there."""
    config = ModelConfig(64, 8, 1, 1, 1, 8, 8, 512)
    pool = KVPool(config, 4, torch.float32, CPU)
    pool.keys_LPKHB.fill_(torch.nan)
    pool.values_LPKBH.fill_(torch.nan)
    layout = Layout(np.arange(40, dtype=np.int64), [(0, 40)], np.array([[2, 0]]))
    x = torch.randn(1, 1, 40, 8, generator=torch.Generator().manual_seed(0)) * 1000
    for way in ("kernel", "tensors"):
        o = PagedAttention(config, pool, layout, way, Threads(1)).attend(0, x, x, x)
        expected = torch.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)
        assert torch.allclose(o, expected, rtol=1e-5)


def test_exp_is_within_an_ulp_or_two() -> None:
    x = -torch.rand(100_000, generator=torch.Generator().manual_seed(0)) * 80
    expected = x.double().exp()
    assert ((fixed_order.exp(x).double() - expected) / expected).abs().max() < 1.3e-7
    assert fixed_order.exp(torch.tensor([0.0, -torch.inf])).tolist() == pytest.approx([1.0, 0.0], abs=1e-37)


def test_a_pool_takes_what_it_says() -> None:
    config = ModelConfig(64, 32, 3, 4, 2, 8, 48, 64)
    for dtype in (torch.float32, torch.bfloat16, torch.int8):
        pool = KVPool(config, 5, dtype, CPU)
        tensors = (pool.keys_LPKHB, pool.values_LPKBH, *([pool.scale_L2PKB] if dtype == torch.int8 else []))
        assert sum(tensor.nbytes for tensor in tensors) == 5 * block_bytes(config, dtype)
