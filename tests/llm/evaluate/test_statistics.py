import numpy as np
import pytest

from llm.evaluate.statistics import estimate, ratio, weighted


def test_an_estimate_is_a_mean_with_its_standard_error():
    found = estimate([0, 1, 1, 1])
    assert found == {"value": 0.75, "se": pytest.approx((0.75 * 0.25 / 3) ** 0.5), "n": 4}
    assert estimate([2.0])["se"] is None
    with pytest.raises(ValueError):
        estimate([])


def test_the_error_of_a_ratio_is_what_repeated_draws_vary_by():
    random = np.random.Generator(np.random.PCG64(1))

    def draw() -> dict:
        weights = random.integers(5, 60, 200)
        return ratio(weights * random.normal(3.0, 0.5, 200), weights)

    found = [draw() for _ in range(300)]
    spread = np.std([each["value"] for each in found])
    assert np.mean([each["se"] for each in found]) == pytest.approx(spread, rel=0.12)
    assert np.mean([each["value"] for each in found]) == pytest.approx(3.0, abs=0.01)


def test_strata_add_their_errors_by_weight():
    found = weighted([(0.5, [1.0, 3.0]), (2.0, [4.0, 4.0]), (1.0, [7.0])])
    assert found == {"value": 0.5 * 2 + 2 * 4 + 7, "se": pytest.approx(0.5 * 1.0), "n": 5}
