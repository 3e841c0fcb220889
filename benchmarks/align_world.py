"""A world in which everything about a policy can be computed: the truth that benchmarks/align_truth.py compares with.

A prompt names one of six tables of weights; an answer has at most four of six symbols, and ends by itself or is cut
off. Its true reward is the mean weight of its symbols, less the mean of that among the reference's answers of the same
length, so that lengths say nothing of it. Two answers of the reference are compared by Bradley and Terry's model of
their true rewards. Rewards, KL divergences and the best policy are sums over all answers.

Legend: P prompts, A answers.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from llm.align.batches import Example, Pair
from llm.align.policy import answer_log_probs, chosen, sequences_of
from llm.model.config import ModelConfig
from llm.model.transformer import CausalLM

BOS, EOS, PAD = 1, 2, 3
SYMBOLS = (0, 1, 3, 4, 5, 6)  # all tokens but EOS
LONGEST, PROMPTS = 4, len(SYMBOLS)
CONFIG = ModelConfig(
    vocab_size=7, d_model=48, n_layers=2, n_heads=4, n_kv_heads=4, d_head=12, d_ff=96, context_length=16,
    tie_embeddings=False,
)  # fmt: skip
ANSWERS = [
    *((*answer, EOS) for n in range(LONGEST) for answer in itertools.product(SYMBOLS, repeat=n)),
    *itertools.product(SYMBOLS, repeat=LONGEST),
]
LENGTH_A = torch.tensor([len(answer) - (answer[-1] == EOS) for answer in ANSWERS])
NUMBER = {answer: number for number, answer in enumerate(ANSWERS)}
SPREAD = 2.5  # deviation of the weights


@dataclass(frozen=True)
class World:
    """One seed's truth. model: makes the reference, anew each time. log_prob_PA: of it, of all answers to each prompt;
    reward_PA: the true rewards; fp64."""

    seed: int
    model: Callable[[], CausalLM]
    log_prob_PA: Tensor
    reward_PA: Tensor


def world_of(seed: int) -> World:
    """Draw the weights and the reference, a random model whose next token is anything but even."""

    def model() -> CausalLM:
        generator = torch.Generator().manual_seed(seed)
        made = CausalLM(CONFIG).eval()
        with torch.no_grad():
            for weight in made.parameters():
                weight.normal_(0.0, 0.08, generator=generator).add_(float(weight.ndim == 1))
        return made

    log_prob_PA = exact(model())
    weights = np.random.Generator(np.random.PCG64([seed, 1])).normal(0.0, SPREAD, (PROMPTS, CONFIG.vocab_size))
    bare = [[token for token in answer if token != EOS] for answer in ANSWERS]
    mean_PA = torch.tensor(
        [[own[answer].mean() if answer else 0.0 for answer in bare] for own in weights], dtype=torch.float64
    )
    expected_PA = torch.zeros_like(mean_PA)
    for length in range(LONGEST + 1):
        of_length_A = length == LENGTH_A
        chance_PA = log_prob_PA.exp()[:, of_length_A]
        expected_PA[:, of_length_A] = (chance_PA * mean_PA[:, of_length_A]).sum(1, True) / chance_PA.sum(1, True)
    return World(seed, model, log_prob_PA, mean_PA - expected_PA)


def exact(model: CausalLM) -> Tensor:
    """Return the log-probability of every answer to every prompt, [P, A] fp64."""
    rows = []
    for prompt in range(PROMPTS):
        begin = ids_of(prompt)
        part = sequences_of([[*begin, *answer] for answer in ANSWERS], [len(begin)] * len(ANSWERS), PAD)
        with torch.no_grad():
            log_prob_N = chosen(answer_log_probs(model, part), part).double()
        rows.append(torch.stack([own.sum() for own in log_prob_N.split(list(map(len, ANSWERS)))]))
    log_prob_PA = torch.stack(rows)
    assert (log_prob_PA.exp().sum(1) - 1).abs().max() < 1e-4, "these are all answers"
    return log_prob_PA


def ids_of(prompt: int) -> list[int]:
    return [BOS, SYMBOLS[prompt]]


def gains(world: World, policy_PA: Tensor) -> dict[str, float]:
    """Return by how much the true reward rose, the exact KL divergence in nats an answer, and the share of what is
    attainable at it."""
    reference_PA, reward_PA = world.log_prob_PA, world.reward_PA

    def gain(log_prob_PA: Tensor) -> float:
        return ((log_prob_PA.exp() - reference_PA.exp()) * reward_PA).sum(1).mean().item()

    def tilted(by: float) -> Tensor:
        return (reference_PA + by * reward_PA).log_softmax(1)

    budget = divergence(policy_PA, reference_PA)
    low, high = 0.0, 1e3
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if divergence(tilted(middle), reference_PA) < budget else (low, middle)
    return {"gain": gain(policy_PA), "KL": budget, "share": gain(policy_PA) / gain(tilted(low))}


def divergence(p_PA: Tensor, ref_PA: Tensor) -> float:
    """Return KL(p || ref) of log-probabilities, a mean over the prompts."""
    return (p_PA.exp() * (p_PA - ref_PA)).sum(1).mean().item()


def pairs_of(world: World, n: int, by: str) -> list[Pair]:
    """Return pairs of the reference's answers, the first of which is preferred: with noise, in the order of the true
    rewards, or for its length."""
    random = np.random.Generator(np.random.PCG64([world.seed, 2]))
    pairs: list[Pair] = []
    while len(pairs) < n:
        prompt = int(random.integers(PROMPTS))
        chance_A = world.log_prob_PA[prompt].exp().numpy()
        first, second = random.choice(len(ANSWERS), 2, p=chance_A / chance_A.sum()).tolist()
        better = (world.reward_PA[prompt, first] - world.reward_PA[prompt, second]).item()
        longer = (LENGTH_A[first] - LENGTH_A[second]).item()
        chance = {"noise": sigmoid(better), "order": float(better > 0), "length": float(longer > 0)}[by]
        sides = (first, second) if random.random() < chance else (second, first)
        if better and (longer or by != "length"):
            pairs.append(Pair(*(example(prompt, ANSWERS[side]) for side in sides), "all"))
    return pairs


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def example(prompt: int, answer: Sequence[int]) -> Example:
    ids = np.array([*ids_of(prompt), *answer])
    return Example(ids, np.arange(len(ids)) >= len(ids_of(prompt)), "all")


def difference_of(world: World, pair: Pair) -> float:
    """Return by how much the chosen side's true reward is above the other's."""
    (prompt, *one), (_, *other) = (side.ids[1:].tolist() for side in (pair.chosen, pair.rejected))
    reward_A = world.reward_PA[SYMBOLS.index(prompt)]
    return (reward_A[NUMBER[tuple(one)]] - reward_A[NUMBER[tuple(other)]]).item()


def ceiling(world: World, pairs: Sequence[Pair]) -> float:
    """Return the accuracy of a judge who knows the true reward, in expectation over the noise."""
    return fmean(sigmoid(abs(difference_of(world, pair))) for pair in pairs)
