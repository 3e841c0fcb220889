"""Rollouts: what is answered is a function of weights, seed and step; they learn, are kept, and are watched."""

import json
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from llm.align.answers import overlong
from llm.align.prompts import asked, read_prompts
from llm.align.records import write_jsonl
from llm.align.rollouts import Rollouts
from llm.align.settings.policy import PolicySettings
from llm.align.train_adapter import adapted
from llm.align.train_policy import fallen, learn
from llm.errors import InputError
from llm.training.segment import Segment
from llm.training.step import StepMetrics
from tests.llm.align.toy import CONFIG, random_model, schedule
from tests.llm.align.toy_policy import job_of, method_of, policy_settings, rollouts_of


def run(told: PolicySettings, directory: Path) -> tuple[dict, Path]:
    found = learn(job_of(told, directory), CONFIG, random_model, rollouts_of(told, directory))
    return found, directory / "out"


def ready(told: PolicySettings, directory: Path) -> Rollouts:
    rollouts = rollouts_of(told, directory)
    adapted(method_of(rollouts), random_model(), told)
    return rollouts


def test_the_reward_rises_and_all_answers_are_kept(tmp_path: Path) -> None:
    told = policy_settings(schedule=schedule(16, 4, 0.03, 1), samples=8, kl_coef=0.0, kl_bound=500.0)
    found, output = run(told, tmp_path)
    assert found["reward"] > found["reward_before"] + 3 * found["reward_error"]
    assert found["reward_low"] == found["reward"]
    assert found["kl_per_token"] > 0
    history, kept = pl.read_parquet(output / "metrics.parquet"), pl.read_parquet(output / "rollouts.parquet")
    assert history["log_ratio"].to_list() == [0.0] * 16
    assert history["kl"][0] == 0.0
    assert kept.height == 16 * 4 * 8
    by_step = kept.group_by("step", maintain_order=True).agg(
        pl.col("reward").mean(), pl.col("tokens").list.len().mean()
    )
    assert by_step["step"].to_list() == history["step"].to_list()
    assert by_step["reward"].to_list() == pytest.approx(history["reward"].to_list())
    assert by_step["tokens"].to_list() == pytest.approx(history["length"].to_list())
    assert kept["log_probs"].list.len().equals(kept["tokens"].list.len())


def test_several_steps_use_the_same_answers(tmp_path: Path) -> None:
    told = policy_settings(schedule=schedule(4, 4, 1e-2, 1), iterations=2)
    _, output = run(told, tmp_path)
    history = pl.read_parquet(output / "metrics.parquet")
    assert [x == 0 for x in history["log_ratio"]] == [True, False, True, False]
    assert history["reward"][0] == history["reward"][1] != history["reward"][2]
    assert pl.read_parquet(output / "rollouts.parquet")["step"].unique(maintain_order=True).to_list() == [1, 3]


def test_what_a_recovery_point_keeps_is_enough(tmp_path: Path) -> None:
    """Answers are not made again, which other weights would give otherwise; they pass through JSON unchanged."""
    told = policy_settings(iterations=2)
    first, second = ready(told, tmp_path / "a"), ready(told, tmp_path / "b")
    wanted = first.rows(0, 0, 4)
    second.restore(json.loads(json.dumps(first.state())))
    second.answered = None  # type: ignore[assignment]
    found = second.rows(4, 0, 4)
    assert found.old_N.equal(wanted.old_N) and found.advantage_N.equal(wanted.advantage_N)
    assert found.tokens_BT.equal(wanted.tokens_BT)


def test_interrupted_and_resumed_is_never_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between steps on the same answers, too; by real processes in test_survival.py."""
    told = policy_settings(
        schedule=schedule(7, 4, 1e-2, 1), iterations=3, recovery_every=2, samples=3, max_new_tokens=6
    )
    make_step = Segment.make_step

    def files(name: str, last: int, scratch: str) -> dict[str, bytes]:
        def step(self: Segment, number: int) -> StepMetrics:
            if number > last:
                self.recovery.wait()
                raise KeyboardInterrupt
            return make_step(self, number)

        monkeypatch.setattr(Segment, "make_step", step)
        job = replace(job_of(told, tmp_path / name), scratch=tmp_path / scratch)
        rollouts = rollouts_of(told, tmp_path / scratch)
        if last < 7:
            with pytest.raises(KeyboardInterrupt):
                learn(job, CONFIG, random_model, rollouts)
        else:
            learn(job, CONFIG, random_model, rollouts)
        return {path.name: path.read_bytes() for path in job.output.iterdir()}

    wanted = files("whole", 7, "one")
    for last in (3, 5):
        assert files(f"killed{last}", last, "two") == {}
    assert files("resumed", 7, "two") == wanted
    assert "rollouts.parquet" in wanted


def test_prompts_whose_answers_are_all_alike_are_replaced(tmp_path: Path) -> None:
    """Of eleven prompts those of odd numbers teach nothing."""
    told = policy_settings(rewards={"odd": 1.0}, resample=8)
    plain, drawn = (
        rollouts_of(each, tmp_path / str(each.resample)) for each in (policy_settings(rewards={"odd": 1.0}), told)
    )
    for rollouts in (plain, drawn):
        rollouts.rewards = {"odd": lambda p, a, row: 0.0 if int(p.split()[1]) % 2 else len(a) + ord(a[:1] or "a")}
        adapted(method_of(rollouts), random_model(), told)
        rollouts.rows(0, 0, 4)
    assert any(answer.prompt % 2 for group in plain.groups for answer in group)
    assert not any(answer.prompt % 2 for group in drawn.groups for answer in group)
    assert {answer.advantages[0] for group in plain.groups for answer in group if answer.prompt % 2} == {0.0}


def test_answers_far_from_the_reference_end_the_run(tmp_path: Path) -> None:
    told = policy_settings(schedule=schedule(9, 4, 0.2, 1), kl_coef=0.0, kl_bound=0.05)
    with pytest.raises(InputError, match=r"^align.grpo: at step \d the answers are .* more than kl_bound: 0.05; lower"):
        run(told, tmp_path)


def test_a_judge_that_falls_while_the_reward_rises_is_named() -> None:
    weights = {"low": 1.0, "short": 0.0, "calm": 0.0}
    found = {"reward": 0.9, "reward_before": 0.5, "reward_short": 0.2, "reward_short_before": 0.8}
    found |= {"reward_calm": 0.49, "reward_calm_before": 0.5}
    found |= {
        f"{name}_error{when}": 0.02 for name in ("reward", "reward_short", "reward_calm") for when in ("", "_before")
    }
    assert fallen(found, weights) == ["short"]
    assert fallen(found | {"reward": 0.51}, weights) == []


def test_the_penalty_of_long_answers() -> None:
    assert [overlong(n, 20, 4) for n in (1, 16, 17, 20)] == [0.0, 0.0, 0.25, 1.0]
    assert overlong(20, 20, 0) == 0.0


def test_kl_in_the_reward_is_taken_off(tmp_path: Path) -> None:
    told = policy_settings("rloo", kl_coef=0.5)
    rollouts = rollouts_of(told, tmp_path)
    engine = adapted(method_of(rollouts), random_model(), told)
    engine.gradients(partial(rollouts.rows, 0), 4)
    engine.update(20.0, 1.0)
    rollouts.rows(4, 0, 4)
    group = [asdict(answer) for answer in rollouts.groups[0]]
    values = [each["reward"] - 0.5 * (sum(each["log_probs"]) - sum(each["reference"])) for each in group]
    wanted = [value - (sum(values) - value) / 5 for value in values]
    assert [each["advantages"][0] for each in group] == pytest.approx(wanted)


def test_prompts_are_what_comes_before_an_answer(tokenizer, tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    rows = [{"messages": [*turns, {"role": "assistant", "content": "d"}]}, {"prompt": "e" * 40}, {"prompt": "e"}]
    write_jsonl(tmp_path / "a.jsonl", rows)
    found, too_long = read_prompts(tmp_path / "a.jsonl", tokenizer, 20)
    assert ([prompt.text for prompt in found], too_long) == (["c", "e"], 1)
    assert found[1].ids == [1, 6, ord("e") + 8, 7]
    assert asked(rows[0], "x") == turns
    with pytest.raises(InputError, match="every prompt is longer than the 3 tokens"):
        read_prompts(tmp_path / "a.jsonl", tokenizer, 3)
    with pytest.raises(InputError, match="11 prompts do not fill one batch of 12"):
        rollouts_of(policy_settings(schedule=schedule(4, 12, 1.0, 0)), tmp_path)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"rewards": {"low": 0.0}}, "rewards: none has a weight other than 0"),
        ({"samples": 1}, "samples: grpo compares the answers to a prompt, so it needs 2 or more, not 1"),
        ({"max_new_tokens": 400}, "max_new_tokens: 400 leaves no room for a prompt in align.max_tokens: "),
        ({"overlong_tokens": 11}, "overlong_tokens: 11 is more than max_new_tokens: 10"),
    ],
)
def test_settings_that_teach_nothing_are_refused(changes: dict, line: str) -> None:
    with pytest.raises(InputError, match=line):
        policy_settings(**changes)
