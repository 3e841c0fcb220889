"""Policy gradients: losses against the papers' equations in plain Python, and one gradient however a step is cut."""

import math
import random
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from llm.align.lora import add_lora, lora_layers
from llm.align.policy import ALGORITHMS, Experience, PolicyGradient, sequences_of
from llm.align.settings.policy import POLICIES
from llm.align.train_adapter import adapted
from llm.model.grid import Grid
from llm.runtime.agreement import Ranks
from llm.runtime.launch import run_ranks
from llm.training.engine import Engine
from llm.training.engines.layout import Replicas
from tests.llm.align.toy import LORA, adapter_of, random_model
from tests.llm.align.toy_policy import method_of, policy_settings, rollouts_of

LOW, HIGH, KL, MOST = 0.05, 0.1, 0.4, 9
LENGTHS = [3, 7, 5, 2, 6, 4]
PROMPTS = [4, 4, 4, 6, 6, 6]
GROUPS = [name for name in POLICIES if name != "ppo"]  # whose loss is in test_ppo.py


def experience(log_p: list[list[float]]) -> Experience:
    """Six answers, three to each of two prompts, whose old log-probabilities are near those of `log_p`."""
    chance = random.Random(3)
    texts = [[chance.randrange(8, 264) for _ in range(p + n)] for p, n in zip(PROMPTS, LENGTHS, strict=True)]
    old, reference = ([[p + chance.gauss(0, 0.3) for p in row] for row in log_p] for _ in range(2))
    advantages = [1.2, -0.7, -0.5, 0.4, 0.9, -1.3]
    sequences = sequences_of(texts, PROMPTS, 3)
    return Experience(
        sequences.tokens_BT,
        sequences.mask_BT,
        torch.tensor([p for row in old for p in row]),
        torch.tensor([p for row in reference for p in row]),
        torch.tensor([a for a, n in zip(advantages, LENGTHS, strict=True) for _ in range(n)]),
        torch.zeros(6, 0, dtype=torch.float64),
        prompts=2,
        answers=6,
        targets=sum(LENGTHS),
        value_N=torch.zeros(0),
        return_N=torch.zeros(0),
        kl_coef=0.0,
    )


def split(values: list[float]) -> list[list[float]]:
    rest = iter(values)
    return [[next(rest) for _ in range(n)] for n in LENGTHS]


def by_hand(algorithm: str, log_p: list[list[float]], given: Experience) -> float:
    """The loss as its paper has it, in float64."""
    old, reference = split(given.old_N.tolist()), split(given.reference_N.tolist())
    totals = []
    for p, q, ref, (advantage, *_) in zip(log_p, old, reference, split(given.advantage_N.tolist()), strict=True):
        terms = []
        for t in range(len(p)):
            ratio = math.exp(p[t] - q[t])
            if algorithm == "gspo":  # of the sequence, by its length: equation 7
                ratio = math.exp(sum(a - b for a, b in zip(p, q, strict=True)) / len(p))
            kept = min(max(ratio, 1 - LOW), 1 + HIGH)
            objective = min(ratio * advantage, kept * advantage)
            if algorithm != "rloo":
                objective -= KL * (math.exp(ref[t] - p[t]) - (ref[t] - p[t]) - 1)
            terms.append(objective)
        totals.append(terms)
    if algorithm in ("grpo", "gspo"):
        return -sum(sum(terms) / len(terms) for terms in totals) / len(totals)
    if algorithm == "dapo":
        return -sum(map(sum, totals)) / sum(map(len, totals))
    if algorithm == "dr_grpo":
        return -sum(map(sum, totals)) / (len(totals) * MOST)
    return -sum(map(sum, totals)) / len(totals)


@pytest.mark.parametrize("algorithm", GROUPS)
def test_a_loss_is_its_papers_equation(algorithm: str) -> None:
    model = random_model()
    texts = experience([[0.0] * n for n in LENGTHS])
    with torch.no_grad():
        log_p_BTV = model(texts.tokens_BT).double().log_softmax(-1)
    log_p_BT = log_p_BTV[:, :-1].gather(2, texts.tokens_BT[:, 1:, None])[..., 0]
    log_p = split(log_p_BT[texts.mask_BT[:, 1:]].tolist())
    given = experience(log_p)
    told = policy_settings(algorithm, clip_low=LOW, clip_high=HIGH, kl_coef=KL, max_new_tokens=MOST)
    loss, figures = PolicyGradient(model, told, ())(given, 2)
    assert loss.item() == pytest.approx(by_hand(algorithm, log_p, given), rel=2e-5)
    assert 0 < figures[2] < 1, "some tokens are clipped, and not all"


def test_advantages() -> None:
    rewards = torch.tensor([[1.0, 2.0, 6.0], [4.0, 4.0, 4.0]], dtype=torch.float64)
    deviation = math.sqrt((4 + 1 + 9) / 2)
    found = {name: row.advantages(rewards).tolist() for name, row in ALGORITHMS.items() if row.advantages}
    assert found["grpo"][0] == pytest.approx([x / (deviation + 1e-4) for x in (-2, -1, 3)])
    assert found["dr_grpo"][0] == [-2, -1, 3]
    assert found["rloo"][0] == pytest.approx([1 - 4, 2 - 3.5, 6 - 1.5])
    assert all(rows[1] == [0, 0, 0] for rows in found.values())


@pytest.mark.parametrize(
    ("dtype", "algorithm", "grid"),
    [
        ("float32", "grpo", None),
        ("bfloat16", "grpo", None),
        ("float32", "ppo", None),
        ("bfloat16", "ppo", None),
        ("bfloat16", "grpo", Grid(4, 8)),
    ],
)
def test_the_first_steps_ratios_are_one_and_its_divergence_nought(dtype, algorithm, grid, tmp_path: Path) -> None:
    told = policy_settings(algorithm, dtype=dtype, grid=grid)
    rollouts = rollouts_of(told, tmp_path)
    engine = adapted(method_of(rollouts), random_model(), told)
    for step in range(3):
        engine.gradients(partial(rollouts.rows, step * 4), 4)
        assert engine.figures["log_ratio"] == 0.0, "the engine's log-probabilities are the trainer's, to the bit"
        assert engine.figures["clip_fraction"] == 0.0
        assert (engine.figures["kl"] == 0.0) is (step == 0)
        engine.update(1.0, 1.0)


def gradient_of(algorithm: str, layout: Replicas, directory: Path) -> tuple[float, dict, dict[str, torch.Tensor]]:
    """Loss, figures and gradients of a step that is not the first on its answers, on every rank."""
    torch.set_num_threads(1)
    told = policy_settings(algorithm, parallel=layout, iterations=2, resample=1)
    rank = torch.distributed.get_rank() if layout.data > 1 else 0
    rollouts = rollouts_of(told, directory, Ranks(rank, layout.data))
    engine = adapted(method_of(rollouts), random_model(), told)
    moved(engine, 0.05)
    rollouts.rows(0, 0, 4)
    moved(engine, 0.02)
    loss, _ = engine.gradients(partial(rollouts.rows, 0), 4)
    return loss, dict(engine.figures), {held.name: held.tensor.grad.clone() for held in engine.held}


def moved(engine: Engine, by: float) -> None:
    with torch.no_grad():
        for number, held in enumerate(sorted(engine.held, key=lambda each: each.name)):
            held.tensor.add_(by if number % 2 else by / 5)


def gradients_on(layouts: list[Replicas], directory: Path) -> dict:
    return {
        (algorithm, layout): gradient_of(algorithm, layout, directory / f"{algorithm}{index}")
        for algorithm in POLICIES
        for index, layout in enumerate(layouts)
    }


MICRO, DDP = Replicas(micro_batch=1), Replicas(data=2)


def test_one_gradient_however_the_step_is_cut(tmp_path: Path) -> None:
    alone = gradients_on([Replicas(), MICRO], tmp_path / "alone")
    ranks = run_ranks(2, gradients_on, [DDP], tmp_path / "ranks", timeout=240.0)
    for algorithm in POLICIES:
        loss, figures, gradients = alone[algorithm, Replicas()]
        assert figures["log_ratio"] > 1e-3
        wanted = torch.cat([gradients[name].flatten().double() for name in sorted(gradients)])
        for found in (alone[algorithm, MICRO], ranks[algorithm, DDP]):
            assert found[0] == pytest.approx(loss, rel=1e-6, abs=1e-7)
            assert found[1] == pytest.approx(figures, rel=1e-6, abs=1e-9)
            flat = torch.cat([found[2][name].flatten().double() for name in sorted(gradients)])
            assert ((flat - wanted).norm() / wanted.norm()).item() < 1e-6


def test_a_mean_of_the_parts_means_is_noticed(tmp_path: Path) -> None:
    """Planted: each part divides by its own tokens."""
    told = policy_settings("dapo", rewards={"short": 1.0})
    rollouts = rollouts_of(told, tmp_path)
    model = random_model()
    add_lora(model, LORA, 1)
    for layer in lora_layers(model).values():
        layer.lora_B.data.fill_(0.05)
    objective = rollouts.policy(model)

    def gradient(own: bool) -> torch.Tensor:
        model.zero_grad()
        for first in range(4):
            part = rollouts.rows(0, first, 1)
            targets = int(part.mask_BT.sum()) * 4 if own else part.targets
            objective(replace(part, targets=targets), 4)[0].backward()
        return torch.cat([weight.grad.flatten() for weight in adapter_of(model).values()])

    assert (gradient(True) - gradient(False)).norm() / gradient(False).norm() > 1e-3
