"""The table of losses on pairs against published numbers, and against the papers' equations in plain Python."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch

from llm.align.batches import ItemStream, collate
from llm.align.lora import add_lora
from llm.align.paired import LOSSES, Sides, log_one_minus_exp, paired, with_references
from llm.align.settings.paired import PAIRED, PairedSettings
from llm.align.train_adapter import optimizer_of
from llm.training.engines.single import SingleEngine
from tests.llm.align.toy import CONFIG, LORA, adapter_settings, pairs, random_model, schedule

# torchtune's test of DPO: log p of chosen and rejected answers, of the model and of the reference; beta 0.1.
POLICY = ([-0.5, -10.0, -1.0], [-0.1, -30.0, -21.0])
REFERENCE = ([-0.5, -10.1, -0.1], [-0.1, -20.1, -0.1])
LENGTHS = ([4.0, 8.0, 5.0], [2.0, 16.0, 10.0])
BETA, MARGIN = 0.1, 0.4


def settings(loss: str, beta: float = BETA) -> PairedSettings:
    return PairedSettings(loss=loss, beta=beta, margin=MARGIN, schedule=schedule(2, 1, 1.0, 0), seed=0)


def sides(dtype: torch.dtype = torch.float64) -> Sides:
    tensors = (tuple(torch.tensor(side, dtype=dtype) for side in two) for two in (POLICY, REFERENCE, LENGTHS))
    return Sides(*tensors)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def by_hand(loss: str, pair: int) -> tuple[float, float, float]:
    """The loss of one pair, and the rewards of its answers, as the papers write them."""
    (pc, pr), (rc, rr), (lc, lr) = ((two[0][pair], two[1][pair]) for two in (POLICY, REFERENCE, LENGTHS))
    if loss == "dpo":
        return -math.log(sigmoid(BETA * (pc - rc) - BETA * (pr - rr))), BETA * (pc - rc), BETA * (pr - rr)
    if loss == "ipo":
        return ((pc - rc) / lc - (pr - rr) / lr - 1 / (2 * BETA)) ** 2, BETA * (pc - rc), BETA * (pr - rr)
    rewards = BETA * pc / lc, BETA * pr / lr
    if loss == "simpo":
        return -math.log(sigmoid(rewards[0] - rewards[1] - MARGIN)), *rewards
    p_c, p_r = math.exp(pc / lc), math.exp(pr / lr)
    odds_ratio = (p_c / (1 - p_c)) / (p_r / (1 - p_r))
    return -math.log(p_c) - BETA * math.log(sigmoid(math.log(odds_ratio))), *rewards


@pytest.mark.parametrize("loss", PAIRED)
def test_a_loss_is_its_papers_equation(loss: str) -> None:
    row, told = LOSSES[loss], settings(loss)
    rewards = row.rewards(sides(), told)
    found = zip(row.loss(sides(), rewards, told).tolist(), *(reward.tolist() for reward in rewards), strict=True)
    for pair, values in enumerate(found):
        assert values == pytest.approx(by_hand(loss, pair), rel=1e-12)


def test_dpo_of_torchtunes_numbers() -> None:
    """-log sigmoid(0, 1, 2)."""
    told = settings("dpo")
    found = LOSSES["dpo"].loss(sides(), LOSSES["dpo"].rewards(sides(), told), told)
    assert found.tolist() == pytest.approx([-math.log(sigmoid(x)) for x in (0, 1, 2)], rel=1e-12)


@pytest.mark.parametrize("loss", PAIRED)
def test_guessing_is_the_loss_of_no_preference(loss: str) -> None:
    """Of a model that is its reference, gives both answers one probability a token, and that of guessing."""
    told, vocab_size = settings(loss), 50
    log_p = torch.tensor([-6 * math.log(vocab_size)], dtype=torch.float64)
    equal = Sides((log_p, log_p), (log_p, log_p), (torch.tensor([6.0]), torch.tensor([6.0])))
    row = LOSSES[loss]
    found = row.loss(equal, row.rewards(equal, told), told).item()
    assert row.chance(told, vocab_size) == pytest.approx(found, rel=1e-9)


def test_log_one_minus_exp_is_precise_at_both_ends() -> None:
    x = torch.tensor([-1e-12, -1e-3, -0.5, -1.0, -40.0], dtype=torch.float64)
    wanted = [math.log(-math.expm1(value)) for value in x.tolist()]
    assert log_one_minus_exp(x).tolist() == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("loss", PAIRED)
def test_a_reference_computed_before_training_is_that_of_each_step(loss: str) -> None:
    """The same losses, gradient norms and figures, in micro-batches too; losses without a reference do not ask it."""
    curves = []
    for before in (False, True):
        told = adapter_settings(loss, precompute_reference=before)
        items = with_references(random_model, pairs(24), told, CONFIG.pad_id)
        assert all((pair.reference is not None) == (before and LOSSES[loss].refers) for pair in items)
        model = random_model()
        add_lora(model, LORA, 0)
        engine = SingleEngine(paired(model, told), optimizer_of(told.schedule), 3)
        stream = ItemStream(items, 8, 1, CONFIG.pad_id)
        for step in range(6):
            found = engine.gradients(partial(stream.rows, 8 * step), 8)
            engine.update(told.schedule.factor(step + 1), found[1])
            curves.append([*found, *engine.figures.values()])
    assert curves[:6] == [pytest.approx(values, rel=1e-5, abs=1e-6) for values in curves[6:]]


def test_what_the_reference_says_stays_with_its_pair() -> None:
    """In a batch: first of all chosen answers; in a part of it, and of one side, of those alone."""
    some = [replace(pair, reference=(-float(n), -10.0 - n)) for n, pair in enumerate(pairs(3))]
    batch = collate(some, CONFIG.pad_id)
    assert batch.reference_B is not None and batch.reference_B.tolist() == [0, -1, -2, -10, -11, -12]
    assert batch[torch.tensor([2, 0])].reference_B.tolist() == [-2, 0, -12, -10]
    assert batch.side(1).reference_B.tolist() == [-10, -11, -12]
    assert collate(pairs(3), CONFIG.pad_id).reference_B is None
