"""The five scripts one after the other on a small clean directory and a random model: as the rules call them."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from llm.align.identity import weights_digest
from llm.align.lora import load_adapter, merge_lora
from llm.align.ppo import CRITIC
from llm.align.reward import load_reward_model
from llm.align.settings.adapter import AdapterSettings
from llm.align.settings.instructions import InstructionSettings, Limits
from llm.align.settings.kto import KtoSettings
from llm.align.settings.paired import PAIRED, PairedSettings
from llm.align.settings.policy import PolicySettings
from llm.align.settings.preferences import PreferenceSettings
from llm.errors import InputError
from llm.model.directory import load_model
from llm.settings import made
from scripts.align import instructions, kto, paired, policy, preferences, reward, sft
from tests.llm.align.toy import write_inputs

LORA = {"r": 4, "alpha": 8, "target_modules": ["q_proj", "down_proj"]}
SCHEDULE = {"steps": 4, "batch_size": 4, "learning_rate": 0.01, "warmup_steps": 1}
COUNTS = {"irrelevant": 10, "shuffled": 5, "repetitive": 5, "truncated": 5, "rambling": 5}
TRAINING = {"lora": LORA, "schedule": SCHEDULE, "max_tokens": 128, "dtype": "float32", "seed": 0}
LIMITS = Limits(min_answer=20, max_answer=200, max_prompt=200)
METHODS = {"sft": sft, "reward": reward, "kto": kto, **dict.fromkeys(PAIRED, paired)}
SLICES = {"kto": KtoSettings, **dict.fromkeys(PAIRED, PairedSettings)}


def derive(directory: Path) -> None:
    """directory/clean -> directory/instructions -> directory/preferences"""
    (directory / "instructions").mkdir()
    (directory / "preferences").mkdir()
    directory_metrics = instructions.main(
        directory / "clean",
        directory / "instructions",
        settings=InstructionSettings(
            kinds={"definition": ["dict"]},
            train_counts={"definition": 60},
            validation_counts={"definition": 20},
            limits=LIMITS,
            seed=0,
        ),
    )
    assert directory_metrics["train"]["by_kind"] == {"definition": 60}
    metrics = preferences.main(
        directory / "instructions",
        directory / "preferences",
        settings=PreferenceSettings(train_counts=COUNTS, validation_counts=COUNTS, max_answer=300, seed=0),
    )
    assert metrics["validation"]["pairs"] == 30 and metrics["validation"]["length_rule"]["best"] < 0.7


@pytest.fixture(scope="module")
def work(tmp_path_factory, tokenizer_files) -> Path:
    """A directory with clean/, base/ (a random model), instructions/ and preferences/."""
    directory = tmp_path_factory.mktemp("align")
    write_inputs(directory, tokenizer_files["model"], 100, 4)
    derive(directory)
    return directory


def train(method: str, work: Path, adapter: Path, **changes: object) -> dict:
    adapter.mkdir(parents=True)
    extra = {"loss": method} if method in PAIRED else {}
    data = work / ("instructions" if method == "sft" else "preferences")
    told = made(SLICES.get(method, AdapterSettings), TRAINING | extra | changes)
    return METHODS[method].main(work / "base", data, adapter, settings=told)


def test_deriving_twice_gives_the_same_bytes(work, tmp_path):
    (tmp_path / "clean").symlink_to(work / "clean")
    derive(tmp_path)
    for file in ("instructions/train.jsonl", "instructions/validation.jsonl", "preferences/train.jsonl"):
        assert (tmp_path / file).read_bytes() == (work / file).read_bytes()


@pytest.mark.parametrize("method", METHODS)
def test_a_script_leaves_an_adapter_and_returns_json(method, work, tmp_path):
    metrics = json.loads(json.dumps(train(method, work, tmp_path / method)))
    files = ["adapter_config.json", "adapter_model.safetensors", "metrics.parquet"]
    assert sorted(path.name for path in (tmp_path / method).iterdir()) == files
    assert metrics["steps"] == 4 and metrics["examples"] > 0
    written = json.loads((tmp_path / method / "adapter_config.json").read_text())
    assert written["base_model_name_or_path"] == ("../../models/base" if method == "sft" else "../../models/sft")
    assert written["revision"] == weights_digest(work / "base")
    model = load_model(work / "base")
    if method == "reward":
        assert written["task_type"] == "SEQ_CLS" and written["modules_to_save"] == ["score"]
        load_reward_model(model, tmp_path / method)
        return
    load_adapter(model, tmp_path / method)
    PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(work / "base"), tmp_path / method)


PPO = {"algorithm": "ppo", "rewards": {"reward_model": 1.0}, "samples": 2, "max_new_tokens": 6, "held_out": 2}


def learned(work: Path, reward_adapter: Path, adapter: Path) -> dict:
    adapter.mkdir()
    told = made(PolicySettings, TRAINING | PPO | {"normalising_prompts": 4})
    return policy.main(work / "base", work / "instructions", adapter, reward=reward_adapter, settings=told)


@pytest.fixture(scope="module")
def judge(work, tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("judge") / "reward"
    train("reward", work, directory)
    return directory


def test_ppo_learns_from_the_reward_model_and_merges(work, judge, tmp_path):
    metrics = json.loads(json.dumps(learned(work, judge, tmp_path / "ppo")))
    assert metrics["steps"] == 4 and metrics["reward_reward_model"] == metrics["reward"]
    files = ["adapter_config.json", "adapter_model.safetensors", CRITIC, "metrics.parquet", "rollouts.parquet"]
    assert sorted(path.name for path in (tmp_path / "ppo").iterdir()) == files
    model = load_model(work / "base")
    load_adapter(model, tmp_path / "ppo")
    merge_lora(model)
    ids = torch.tensor([[1, 20, 30, 40]])
    plain = AutoModelForCausalLM.from_pretrained(work / "base")
    with torch.no_grad():
        before = plain(ids).logits
        adapted = PeftModel.from_pretrained(plain, tmp_path / "ppo")(ids).logits
        torch.testing.assert_close(model(ids), adapted, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(before, adapted, atol=1e-4)


def test_a_reward_model_of_another_base_is_refused(work, judge, tmp_path):
    for name, change, line in (
        (
            "elsewhere",
            {"base_model_name_or_path": "../../models/dpo"},
            "trained on ../../models/dpo, the policy",
        ),
        ("wider", {"r": 8}, "rank 4, but r=8 in adapter_config.json"),
        ("another", {"revision": "sha256:" + "0" * 64}, "the adapter was made on a model of sha256:000000000000, "),
    ):
        shutil.copytree(judge, tmp_path / name)
        file = tmp_path / name / "adapter_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | change))
        with pytest.raises(InputError, match=line):
            learned(work, tmp_path / name, tmp_path / f"ppo-{name}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_tokens": 1000}, "max_tokens"),
        ({"schedule": SCHEDULE | {"setps": 3}}, "schedule.setps: unknown key"),
        ({"schedule": {"steps": 3}}, "schedule.batch_size is missing"),
        ({"lora": LORA | {"target_modules": ["c_attn"]}}, "target_modules.0: 'c_attn' is not one of q_proj"),
        ({"schedule": SCHEDULE | {"batch_size": 1000}}, "do not fill one batch of 1000"),
    ],
)
def test_bad_params_are_named(changes, message, work, tmp_path):
    with pytest.raises(InputError, match=message):
        train("sft", work, tmp_path / "sft", **changes)


def test_sources_that_yield_nothing_are_named(work, tmp_path):
    with pytest.raises(InputError, match="no instruction pair in the train split"):
        instructions.main(
            work / "clean",
            tmp_path,
            settings=InstructionSettings(
                kinds={"docstring": ["code"]},
                train_counts={"docstring": 5},
                validation_counts={"docstring": 5},
                limits=LIMITS,
                seed=0,
            ),
        )


def test_a_preference_stage_that_yields_nothing_is_named(work, tmp_path):
    with pytest.raises(InputError, match="no preference pair"):
        preferences.main(
            work / "instructions",
            tmp_path,
            settings=PreferenceSettings(
                train_counts={"shuffled": 5}, validation_counts={"shuffled": 5}, max_answer=3, seed=0
            ),
        )
