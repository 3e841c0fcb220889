"""PPO: its objective against the paper in float64, its rollouts, its critic's file, and what is refused."""

import math
import random
from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from llm.align.answers import Answer
from llm.align.policy import Experience
from llm.align.ppo import CRITIC, Ppo, credited
from llm.align.scorer import load_scorer
from llm.align.settings.policy import PolicySettings
from llm.align.train_adapter import adapted
from llm.align.train_policy import learn
from llm.errors import InputError
from tests.llm.align.test_policy import LENGTHS, experience, split
from tests.llm.align.toy import CONFIG, random_model, schedule
from tests.llm.align.toy_policy import job_of, method_of, policy_settings, rollouts_of, scorer_of

LOW, HIGH, CLIP, COEF = 0.05, 0.1, 0.15, 0.7
JUDGED = {"rewards": {"reward_model": 1.0, "short": 0.0}}


def of_paper(log_p: list, values: list, given: Experience) -> tuple[float, float]:
    """The policy's and the critic's loss, token by token (Schulman et al. 2017, equations 7 and 9; the value's clipping
    is that of their code), in float64."""
    policy, critic = [], []
    columns = [given.old_N, given.advantage_N, given.value_N, given.return_N]
    for p, v, old, advantage, before, wanted in zip(log_p, values, *(c.tolist() for c in columns), strict=True):
        ratio = math.exp(p - old)
        policy.append(min(ratio * advantage, min(max(ratio, 1 - LOW), 1 + HIGH) * advantage))
        kept = min(max(v, before - CLIP), before + CLIP)
        critic.append(0.5 * max((v - wanted) ** 2, (kept - wanted) ** 2))
    return -sum(policy) / len(policy), sum(critic) / len(critic)


def test_the_objective_is_the_papers() -> None:
    model, chance = random_model(), random.Random(5)
    told = policy_settings("ppo", clip_low=LOW, clip_high=HIGH, value_clip=CLIP, value_coef=COEF)
    objective = Ppo(model, told, ())
    with torch.no_grad():
        objective.value.weight.normal_(0.0, 0.3, generator=torch.Generator().manual_seed(2))
        texts = experience([[0.0] * n for n in LENGTHS])
        mask_BT = texts.mask_BT[:, 1:]
        log_p_BTV = model(texts.tokens_BT).double().log_softmax(-1)[:, :-1]
        log_p = log_p_BTV.gather(2, texts.tokens_BT[:, 1:, None])[..., 0][mask_BT].tolist()
        x_BTD = model.hidden(texts.tokens_BT)[:, :-1].double()
        values = (x_BTD[mask_BT] @ objective.value.weight.double()[0]).tolist()
    given = replace(
        experience(split(log_p)),
        advantage_N=torch.tensor([chance.gauss(0, 1) for _ in log_p]),
        value_N=torch.tensor([v + chance.gauss(0, 0.3) for v in values]),
        return_N=torch.tensor([chance.gauss(0, 1) for _ in log_p]),
        kl_coef=0.25,
    )
    loss, figures_K = objective(given, 2)
    figures = dict(zip(objective.figures, figures_K.tolist(), strict=True))
    policy, critic = of_paper(log_p, values, given)
    assert loss.item() == pytest.approx(policy + COEF * critic, rel=2e-5)
    assert figures["value_loss"] == pytest.approx(critic, rel=2e-5)
    assert 0 < figures["value_clip_fraction"] < 1 and 0 < figures["clip_fraction"] < 1
    assert figures["kl_coef"] == 0.25


def test_credit_of_tokens_by_hand() -> None:
    """Two answers of two and one tokens; gamma .5, lambda .5, coefficient 2."""
    told = policy_settings("ppo", gamma=0.5, gae_lambda=0.5)
    told_of = {"finished": True, "text": "", "rewards": []}
    first = Answer(0, [5, 2], [-1.0, -2.0], reward=3.0, reference=[-1.5, -2.0], values=[1.0, 4.0], **told_of)
    second = Answer(0, [2], [-1.0], reward=-1.0, reference=[-0.5], values=[0.5], **told_of)
    found = credited([first, second], told, 2.0)
    last = 3.0 - 4.0
    plain = [(-1.0 + 0.5 * 4.0 - 1.0) + 0.25 * last, last, (-1.0 + 1.0) - 0.5]
    assert [r for answer in found for r in answer.returns] == pytest.approx(
        [plain[0] + 1, plain[1] + 4, plain[2] + 0.5]
    )
    mean = sum(plain) / 3
    deviation = math.sqrt(sum((a - mean) ** 2 for a in plain) / 2)
    assert [a for answer in found for a in answer.advantages] == pytest.approx([(a - mean) / deviation for a in plain])


def run(told: PolicySettings, directory: Path) -> tuple[dict, Path]:
    found = learn(job_of(told, directory), CONFIG, random_model, rollouts_of(told, directory, scorer=scorer_of()))
    return found, directory / "out"


def test_the_reward_models_score_rises_and_all_is_kept(tmp_path: Path) -> None:
    told = policy_settings("ppo", schedule=schedule(16, 4, 0.03, 1), samples=8, kl_coef=0.01, kl_bound=500.0, **JUDGED)
    found, output = run(told, tmp_path)
    assert found["reward"] > found["reward_before"] + 3 * found["reward_error"]
    assert found["reward_reward_model"] == found["reward"]
    history, kept = pl.read_parquet(output / "metrics.parquet"), pl.read_parquet(output / "rollouts.parquet")
    logged = {"reward", "kl", "entropy", "clip_fraction", "value_loss", "value_clip_fraction", "length", "finished"}
    assert logged <= set(history.columns)
    assert history["log_ratio"].to_list() == [0.0] * 16
    assert history["kl"][0] == 0.0
    for name in ("values", "advantages", "returns", "log_probs"):
        assert kept[name].list.len().equals(kept["tokens"].list.len())
    assert kept.filter(pl.col("step") == 1)["values"].explode().unique().to_list() == [0.0], "it starts at zero"
    adapter = load_file(output / "adapter_model.safetensors")
    assert all(".lora_" in name for name in adapter), "PEFT, our server and merging know no critic"
    assert load_file(output / CRITIC)["value.weight"].shape == (1, CONFIG.d_model)


def test_the_critic_learns_what_answers_are_worth(tmp_path: Path) -> None:
    told = policy_settings("ppo", iterations=20, value_clip=100.0, value_coef=1.0, rewards={"low": 1.0})
    rollouts = rollouts_of(told, tmp_path)
    engine = adapted(method_of(rollouts), random_model(), told)
    losses = []
    for step in range(20):
        _, norm = engine.gradients(partial(rollouts.rows, step * 4), 4)
        losses.append(engine.figures["value_loss"])
        engine.update(1.0, norm)
    assert losses[-1] < 0.5 * losses[0]


def test_scores_have_mean_nought_and_deviation_one_among_the_references_answers(tmp_path: Path) -> None:
    """Whatever the policy has become when they are brought to that scale."""
    told = policy_settings("ppo", normalising_prompts=11, **JUDGED)
    scales = []
    for by in (0.0, 0.3):
        scorer = scorer_of()
        rollouts = rollouts_of(told, tmp_path, scorer=scorer)
        engine = adapted(method_of(rollouts), random_model(), told)
        with torch.no_grad():
            for held in engine.weights():
                held.tensor.add_(by)
        rollouts.normalise(scorer)
        scales.append((scorer.mean, scorer.deviation))
    assert scales[0] == scales[1]
    rollouts = rollouts_of(told, tmp_path, scorer=scorer)
    adapted(method_of(rollouts), random_model(), told)
    scores = torch.tensor([a.rewards[0] for group in rollouts.answered(range(11), (3,)) for a in group])
    assert abs(scores.mean()) < 0.5 and 0.7 < scores.std() < 1.4  # other answers of the same policy


def test_a_reward_model_is_one_of_several_rewards_of_grpo(tmp_path: Path) -> None:
    told = policy_settings("grpo", rewards={"low": 2.0, "reward_model": 0.5})
    rollouts = rollouts_of(told, tmp_path, scorer=scorer_of())
    adapted(method_of(rollouts), random_model(), told)
    rollouts.rows(0, 0, 4)
    for answer in (answer for group in rollouts.groups for answer in group):
        assert answer.reward == pytest.approx(2 * answer.rewards[0] + 0.5 * answer.rewards[1])
    assert rollouts.seen[3:] == ("reward_low", "reward_reward_model")


def test_an_answer_without_an_end_is_penalised(tmp_path: Path) -> None:
    told = policy_settings("ppo", missing_eos_penalty=0.75, rewards={"low": 1.0})
    rollouts = rollouts_of(told, tmp_path)
    adapted(method_of(rollouts), random_model(), told)
    rollouts.rows(0, 0, 4)
    answers = [answer for group in rollouts.groups for answer in group]
    assert {answer.finished for answer in answers} == {False}
    assert all(answer.reward == pytest.approx(answer.rewards[0] - 0.75) for answer in answers)


def test_the_coefficient_is_adapted_and_kept(tmp_path: Path) -> None:
    told = policy_settings("ppo", kl_coef=0.1, kl_target=1e-6, schedule=schedule(4, 4, 0.05, 1), rewards={"low": 1.0})
    rollouts = rollouts_of(told, tmp_path)
    engine = adapted(method_of(rollouts), random_model(), told)
    coefficients = []
    for step in range(4):
        engine.gradients(partial(rollouts.rows, step * 4), 4)
        engine.update(1.0, 1.0)
        coefficients.append(engine.figures["kl_coef"])
    assert coefficients[:2] == pytest.approx([0.1, 0.098])  # no answer is off the reference before the first update
    assert coefficients[3] == pytest.approx(0.098 * 1.02**2)
    again = rollouts_of(told, tmp_path)
    again.restore(rollouts.state())
    assert again.kl_coef == rollouts.kl_coef


@pytest.mark.parametrize(
    ("score", "line"),
    [
        (math.nan, "reward reward_model: nan is no finite number; train results/align/reward again"),
        (0.0, "reward reward_model rates all 66 answers of the reference alike"),
    ],
)
def test_a_reward_model_that_says_nothing_is_refused(score: float, line: str, tmp_path: Path) -> None:
    rollouts = rollouts_of(policy_settings("ppo", **JUDGED), tmp_path, scorer=scorer_of(score))
    adapted(method_of(rollouts), random_model(), policy_settings("ppo", **JUDGED))
    with pytest.raises(InputError, match=line):
        rollouts.rows(0, 0, 4)


def test_a_reward_model_has_to_be_given() -> None:
    with pytest.raises(InputError, match="reward_model needs an adapter directory of a reward model; give --reward"):
        load_scorer(Path(), None, "../../models/sft", policy_settings("ppo", **JUDGED))
    assert load_scorer(Path(), None, "../../models/sft", policy_settings("ppo")) is None
