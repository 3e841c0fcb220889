"""The two scripts, as the rules call them: a base, then a model that was made from it."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from llm.align.batches import collate
from llm.align.conversations import encode_example
from llm.align.prompts import Prompt
from llm.align.reward import load_reward_model
from llm.align.scorer import Scorer
from llm.evaluate.answers import rewards_of
from llm.evaluate.checks import Answer
from llm.evaluate.settings import EvaluationSettings, SuiteSettings
from llm.model.directory import load_model
from llm.tokenize.chat import encode_chat
from llm.tokenize.open import open_tokenizer
from scripts.evaluate import evaluate, suite
from tests.llm.evaluate.conftest import ROWS

SUITE = {
    "format": {"ended": {}, "plain": {}, "words": {"least": 1, "most": 4}},
    "refusal": {"phrases": ["o"], "harmful": ["thi no?", "se?"], "benign": ["rone?"]},
    "tasks": [{"name": "t", "kind": "choice", "items": [{"prompt": "thi", "choices": ["no", "se"], "answer": 0}] * 2}],
}


@pytest.fixture(scope="module")
def questions(work) -> Path:
    (work / "suite.yaml").write_text(yaml.safe_dump(SUITE))
    metrics = suite.main(work / "suite.yaml", work / "questions.json", settings=SuiteSettings(seed=1))
    assert metrics == {"tasks": {"t": 2}, "prompts": {"harmful": 2, "benign": 1}}
    return work / "questions.json"


def judged(
    work: Path, stage: str, out: Path, before: Path | None = None, instructions: Path | None = None, **changes: object
) -> dict:
    told = {"stage": stage, "prompts": 6, "max_new_tokens": 12, "max_tokens": 48, "seed": 1, "samples": 4}
    pairs = instructions or work / "align/instructions"
    return evaluate.main(
        work / "models" / stage, work / "models/sft", work / "align/reward", pairs,
        work / "tokens", work / "questions.json", out, before, before,
        settings=EvaluationSettings(**told | changes),
    )  # fmt: skip


@pytest.fixture(scope="module")
def both(work, questions) -> dict[str, dict]:
    """By stage: what was written, its metrics being what was returned."""
    found = {}
    for stage, before in (("base", None), ("sft", work / "base.json")):
        metrics = judged(work, stage, work / f"{stage}.json", before)
        found[stage] = json.loads((work / f"{stage}.json").read_text())
        assert json.loads(json.dumps(metrics)) == found[stage]["metrics"]
    return found


def test_every_figure_has_an_error_and_what_needs_another_model_is_left_out(both):
    base, sft = (both[stage]["metrics"] for stage in ("base", "sft"))
    assert set(sft) - set(base) == {"win_rate", "longer", "alignment_tax"}
    for name in ("held_out_loss", "reward", "bits_per_byte", "win_rate", "alignment_tax", "centred"):
        assert set(sft[name]) == {"value", "se", "n"} and sft[name]["se"] is not None
    assert set(sft["format"]) == {"ended", "plain", "words", "all"}
    assert sft["refusal"]["harmful"]["n"] == 2 and sft["refusal"]["benign"]["n"] == 1


def test_the_win_rate_is_counted_from_the_reward_models_own_ratings(work, both):
    """Answers are rated as the reward model was trained: behind their prompt, with their [EOS]."""
    tokenizer = open_tokenizer(work / "models/sft")
    judge = load_reward_model(load_model(work / "models/sft"), work / "align/reward")
    rows = {stage: both[stage]["answers"] for stage in both}
    for own, other in zip(rows["sft"], rows["base"], strict=True):
        assert own["prompt"] == other["prompt"]
    wins = [float(own["reward"] > other["reward"]) for own, other in zip(rows["sft"], rows["base"], strict=True)]
    assert both["sft"]["metrics"]["win_rate"]["value"] == sum(wins) / 6
    conversation = [{"role": "user", "content": "thi"}, {"role": "assistant", "content": "no."}]
    example = encode_example(tokenizer, conversation, "k")
    begin = int(example.mask.argmax())
    prompt = Prompt(example.ids[:begin].tolist(), "thi", {}, "k")
    answer = Answer("thi", "no.", example.ids[begin:].tolist(), True)
    with torch.inference_mode():
        wanted = judge.rewards(collate([example], 3)).tolist()
    assert rewards_of(Scorer(judge, 3), [prompt], [answer]) == pytest.approx(wanted, abs=1e-6)


def test_answers_stand_side_by_side(both):
    samples = both["sft"]["samples"]
    assert len(samples) == 4 + 2  # and one of each sort of the refusal prompts
    texts = {stage: [row["answer"] for row in both[stage]["answers"][:4]] for stage in both}
    assert [row["base"] for row in samples[:4]] == texts["base"] and [row["sft"] for row in samples[:4]] == texts["sft"]
    assert samples[0]["reference"] == ROWS[0]["messages"][1]["content"] and samples[4]["prompt"] == "thi no?"
    assert samples[0]["prompt"] == ROWS[0]["messages"][0]["content"]


def test_a_prompt_that_fills_the_context_is_not_asked(work, questions, tmp_path):
    """Nothing could be answered to it: the engine refuses it."""
    tokenizer, text = open_tokenizer(work / "models/base"), "thi"
    while len(encode_chat(tokenizer, [{"role": "user", "content": text}], add_generation_prompt=True)[0]) < 64:
        text += "?"
    rows = [{"prompt": text, "completion": "no."}, {"prompt": "thi", "completion": "no."}]
    (tmp_path / "validation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    judged(work, "base", tmp_path / "out.json", instructions=tmp_path, max_tokens=64)
    found = json.loads((tmp_path / "out.json").read_text())
    assert [row["prompt"] for row in found["answers"]] == ["thi"] and found["metrics"]["held_out_loss"]["n"] == 1


def test_the_same_bytes_again_and_others_by_another_seed(work, both, tmp_path):
    judged(work, "base", tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (work / "base.json").read_bytes()
    judged(work, "base", tmp_path / "other.json", seed=2)
    other = json.loads((tmp_path / "other.json").read_text())
    assert other["answers"] != both["base"]["answers"] and other["validation"] == both["base"]["validation"]
