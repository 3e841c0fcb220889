"""The figure of loops in answers."""

import pytest

from llm.deploy.serve.repetition import repeated_share
from llm.inference.engine import generate


def test_nothing_repeated_a_loop_and_short_answers() -> None:
    assert repeated_share(list(range(20))) == 0.0
    assert repeated_share([1, 2, 3, 4, 5, 1, 2, 3, 4]) == pytest.approx(1 / 6)
    assert repeated_share([7, 8] * 24) == pytest.approx(1 - 2 / 45)  # "University of University of ..."
    assert repeated_share([1, 2, 3]) == repeated_share([]) == 0.0


def test_a_penalty_ends_a_loop(random_lm) -> None:
    """A model that has learnt nothing loops when it is greedy."""
    model = random_lm()
    options = {"max_new_tokens": 50, "stop_ids": [2]}
    (loop,) = generate(model, [[9]], **options)
    (free,) = generate(model, [[9]], repetition_penalty=1e6, **options)
    assert repeated_share(loop) > 0.3
    assert repeated_share(free) == 0.0
