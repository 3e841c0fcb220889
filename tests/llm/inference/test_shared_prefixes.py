"""Continuations have the bytes of whole texts, and what texts begin with is computed once."""

import numpy as np
import pytest
import torch

from llm.inference import shared_prefixes
from llm.inference.shared_prefixes import Pass, continuations
from llm.inference.training import log_probs


def texts() -> tuple[list[list[int]], list[int]]:
    """Choices behind prompts of many lengths, two of which begin alike; one choice is a prompt's end, one is empty."""
    random = np.random.Generator(np.random.PCG64(7))
    found, begins = [], []
    start = random.integers(8, 400, 70).tolist()
    for length in (1, 5, 31, 32, 33, 64, 65, 90, 97):
        prompt = (start + random.integers(8, 400, 40).tolist())[:length] if length > 60 else start[::-1][:length]
        for choice in (3, 1, 40, 2):
            found.append(prompt + random.integers(8, 400, choice).tolist())
            begins.append(length)
    return [*found, start[:40], start[:34]], [*begins, 40, 2]


@pytest.mark.parametrize("changes", [{}, {"position": "alibi"}, {"tie_embeddings": False, "qk_norm": True}], ids=str)
@pytest.mark.parametrize("rows", [1, 100, 2048])
def test_continuations_are_those_of_whole_texts(random_lm, changes: dict, rows: int, monkeypatch) -> None:
    model = random_lm(**changes).eval()
    monkeypatch.setattr(shared_prefixes, "ROWS", rows)
    monkeypatch.setattr(shared_prefixes, "LOGITS", 400 * 30)
    some, begins = texts()
    found = continuations(model, some, begins)
    for text, begin, values in zip(some, begins, found, strict=True):
        with torch.no_grad():
            whole = log_probs(model, torch.tensor([text]))[0, begin - 1 :].double().tolist()
        assert values.tolist() == pytest.approx(whole, abs=2e-5)
        assert len(values) == len(text) - begin


def test_a_prompt_is_computed_once_for_all_its_choices() -> None:
    shared, prompt = Pass(), list(range(100))
    for choice in range(10):
        shared.add(choice, [*prompt, 200 + choice, 300], 100)
    assert shared.n_rows == 101 + 9 * 5 and shared.n_blocks == 4 + 9
    assert len({table[0] for table in shared.tables}) == 1
    shared.add(10, [*prompt[:64], 7, *prompt[65:], 201], 100)
    assert shared.tables[-1][:2] == shared.tables[0][:2] and shared.tables[-1][2] not in shared.tables[0]
    whole = Pass()
    for begin in (64, 65):  # the row that says the first token asked for is a text's own
        whole.add(begin, prompt, begin)
    assert len(set(whole.tables[0]) & set(whole.tables[1])) == 2
    whole.add(1, prompt, 1)
    assert not set(whole.tables[2]) & set(whole.tables[0])


def test_nothing_is_asked_of_no_texts(random_lm) -> None:
    assert continuations(random_lm(), [], []) == []
    assert [found.tolist() for found in continuations(random_lm(), [[8, 9]], [2])] == [[]]
