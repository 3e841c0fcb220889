"""Weights in little against plain numpy."""

import numpy as np
import pytest
import torch

from llm.package.inventory.matrices import (
    CELLS,
    CHANNELS,
    POINTS,
    cells,
    feed_forwards,
    fused,
    histogram,
    sampled,
    scales,
    singular_values,
    units,
)

GPT2 = {"position": "learned", "norm": "layernorm", "activation": "gelu_tanh", "bias": True, "n_kv_heads": 6}


@pytest.mark.parametrize("shape", [(70, 30), (30, 70), (1, 9)])
def test_singular_values_are_numpys(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    expected = np.linalg.svd(matrix.double().numpy(), compute_uv=False)
    found = singular_values(matrix)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-7)
    points = sampled(found)
    assert len(points) <= POINTS and points[0] == [1, pytest.approx(expected[0], rel=1e-3)]
    assert points[-1] == [min(shape), pytest.approx(expected[-1], rel=1e-3)]


def test_cells_are_root_mean_squares_of_parts() -> None:
    matrix = torch.arange(96.0).reshape(8, 12)
    found = np.array(cells(matrix, 2, 3))
    expected = [[np.sqrt((matrix[r : r + 4, c : c + 4].numpy() ** 2).mean()) for c in (0, 4, 8)] for r in (0, 4)]
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert np.array(cells(matrix, 100, 100)).shape == (8, 12)


def test_fused_columns_are_query_key_value(random_lm) -> None:
    """A head's weights made large are seen in its columns alone."""
    model = random_lm()
    with torch.no_grad():
        model.model.layers[0].self_attn.k_proj.weight[8:] = 9.0  # the second of two key heads
    [first, last] = fused(model.config, model.state_dict())
    assert first["title"] == "layer 0: Q 48, K 16, V 16 columns of [48 × 80]"
    columns = np.array(first["cells"]).mean(0).reshape(10, -1)  # six queries, two keys, two values
    assert [head for head, part in enumerate(columns) if part.min() > 5] == [7]
    assert np.array(last["cells"]).max() < 1


def test_histogram_leaves_out_what_is_not_finite() -> None:
    found = histogram(torch.tensor([1.0, 2.0, 2.0, float("nan"), float("inf")]))
    assert sum(found["counts"]) == 3 and len(found["edges"]) == len(found["counts"]) + 1
    assert (found["edges"][0], found["edges"][-1]) == (1, 2)


@pytest.mark.parametrize(("changes", "names"), [({}, ["gamma"]), (GPT2, ["gamma", "beta"])])
def test_scales_stand_in_the_order_of_the_model(changes: dict, names: list[str], random_lm) -> None:
    model = random_lm(**changes)
    found = scales(model.state_dict())
    assert list(found) == names
    rows = found["gamma"]["rows"]
    assert rows == ["0 attention", "0 ffn", "1 attention", "1 ffn", "last"]
    weight = model.model.layers[0].post_attention_layernorm.weight.detach().numpy()
    assert len(found["gamma"]["cells"][1]) == min(CHANNELS, len(weight))
    np.testing.assert_allclose(found["gamma"]["cells"][1], weight, rtol=1e-3)


def test_feed_forwards_and_their_units(random_lm) -> None:
    model = random_lm()
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight[:, 3] = 0
    titles = [each["title"] for each in feed_forwards(model.config, model.state_dict())]
    assert titles[:3] == ["layer 0: W1, the gate", "layer 0: W3, up", "layer 0: W2"] and len(titles) == 6
    assert np.array(feed_forwards(model.config, model.state_dict())[0]["cells"]).shape == CELLS
    assert units(model.state_dict())["edges"][0] == 0
    plain = random_lm(**GPT2)
    assert [each["title"] for each in feed_forwards(plain.config, plain.state_dict())][:2] == [
        "layer 0: W1",
        "layer 0: W2",
    ]
