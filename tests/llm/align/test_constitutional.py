"""The scripts of constitutional AI one after the other, on a random model: what they leave, that it is the same bytes
whatever happens on the way, and what they refuse."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llm.align.records import read_jsonl, write_jsonl
from llm.align.settings.adapter import AdapterSettings
from llm.align.settings.constitution import AdherenceSettings, CritiqueSettings, FeedbackSettings, RevisionSettings
from llm.align.settings.paired import PairedSettings
from llm.command import Surroundings
from llm.errors import InputError
from llm.settings import made
from scripts.align import adherence, ai_preferences, critiques, paired, revisions, reward, sft
from tests.llm.weights import save_weights

ROOT = Path(__file__).resolve().parents[3]
CHECKABLE = ROOT / "constitutions/checkable.yaml"
CRITIQUES = {
    "prompts": {"train": 40, "validation": 8},
    "temperature": 1.0,
    "max_new_tokens": 12,
    "critique_tokens": 6,
    "seed": 1,
}
TRAINING = {
    "lora": {"r": 4, "alpha": 8, "target_modules": ["q_proj", "down_proj"]},
    "schedule": {"steps": 3, "batch_size": 4, "learning_rate": 0.01, "warmup_steps": 1},
    "max_tokens": 256,
    "dtype": "float32",
    "seed": 0,
}


@pytest.fixture(scope="module")
def work(tmp_path_factory, tokenizer_files, random_lm) -> Path:
    """A directory with models/sft (a random model), and what the data scripts make of it."""
    directory = tmp_path_factory.mktemp("constitution")
    base = directory / "models/sft"
    base.mkdir(parents=True)
    model = random_lm(context_length=256)
    (base / "config.json").write_text(json.dumps(model.config.to_hf()))
    save_weights(model, base / "model.safetensors")
    (base / "tokenizer.model").write_bytes(tokenizer_files["model"].read_bytes())
    (directory / "critiques").mkdir()
    criticised(directory, directory / "critiques")
    return directory


def criticised(work: Path, out: Path, constitution: Path = CHECKABLE, **surroundings: object) -> dict:
    return critiques.main(
        work / "models/sft",
        work / "none",
        constitution,
        out,
        settings=made(CritiqueSettings, CRITIQUES),
        surroundings=Surroundings(**surroundings),
    )


def preferred(work: Path, out: Path, judge: bool = False, **changes: object) -> dict:
    out.mkdir()
    told = made(FeedbackSettings, {"labels": "principles", "prefer": "revised", "seed": 1} | changes)
    return ai_preferences.main(
        work / "critiques", CHECKABLE, out, work / "models/sft" if judge else None, settings=told
    )


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def test_every_prompt_has_a_row_and_every_row_its_writer(work):
    rows = read_jsonl(work / "critiques/train.jsonl")
    assert len(rows) == 40 and len(read_jsonl(work / "critiques/validation.jsonl")) == 8
    assert len({row["id"] for row in rows}) == 40
    assert len({row["writer"] for row in rows}) == 1 and len(rows[0]["writer"]) == 64
    assert {row["principle"] for row in rows} <= {
        "no_digits",
        "ends_with_question",
        "at_most_20_words",
        "no_given_name",
    }


def test_figures_stand_beside_their_random_controls(work, tmp_path):
    metrics = json.loads(json.dumps(criticised(work, tmp_path)))
    for split in ("train", "validation"):
        assert {"critique_accuracy", "critique_accuracy_random", "revision_success", "revision_success_random"} <= {
            *metrics[split]
        }
    assert sum(metrics["train"]["outcomes"].values()) == metrics["train"]["prompts"] == 40


def test_pieces_of_another_size_change_no_byte(work, tmp_path, monkeypatch):
    monkeypatch.setattr(critiques, "TOGETHER", 7)
    criticised(work, tmp_path)
    assert files(tmp_path) == files(work / "critiques")


@pytest.mark.thorough
def test_killed_and_run_again_the_bytes_are_the_same(work, tmp_path):
    out, scratch = tmp_path / "out", tmp_path / "scratch"
    out.mkdir()
    command = [
        sys.executable, str(ROOT / "scripts/align/critiques.py"), "--base", str(work / "models/sft"), "--instructions",
        str(work), "--constitution", str(CHECKABLE), "--critiques", str(out), "--settings", json.dumps(CRITIQUES),
    ]  # fmt: skip
    environment = os.environ | {"STEMMA_SCRATCH": str(scratch), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    first = scratch / "train-000000.jsonl"
    while not first.exists() and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    written = first.stat().st_mtime_ns
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert files(out) == files(work / "critiques")
    assert first.stat().st_mtime_ns == written, "what was there is not written again"


@pytest.mark.parametrize("labels", ["principles", "random"])
def test_adapters_are_trained_on_what_the_model_made(labels, work, tmp_path):
    """By the scripts of the derived pairs: they read revisions and preferences as they are."""
    (tmp_path / "revisions").mkdir()
    told = RevisionSettings(labels=labels, seed=1)
    metrics = revisions.main(work / "critiques", CHECKABLE, tmp_path / "revisions", settings=told)
    assert metrics["train"]["pairs"] + sum(metrics["train"]["left_out"].values()) == 40
    assert 0 <= metrics["train"]["follows"] <= 1
    preferred(work, tmp_path / "preferences", labels=labels)
    trained = {
        "sft": (sft, "revisions", AdapterSettings, {}),
        "reward": (reward, "preferences", AdapterSettings, {}),
        "dpo": (paired, "preferences", PairedSettings, {"loss": "dpo"}),
    }
    for name, (script, data, kind, extra) in trained.items():
        (tmp_path / name).mkdir()
        found = script.main(
            work / "models/sft", tmp_path / data, tmp_path / name, settings=made(kind, TRAINING | extra)
        )
        assert found["steps"] == 3 and found["examples"] > 0
        written = json.loads((tmp_path / name / "adapter_config.json").read_text())
        assert written["base_model_name_or_path"] == "../../models/sft"


@pytest.mark.parametrize("prefer", ["judged", "agreed"])
def test_a_judge_s_choices_are_kept_with_what_made_them(prefer, work, tmp_path):
    metrics = preferred(work, tmp_path / "preferences", judge=True, prefer=prefer)
    rows = read_jsonl(tmp_path / "preferences/train.jsonl")
    assert {row["judge"] for row in rows} == {metrics["judge"]} == {row["writer"] for row in rows}
    assert all(len(row["log_probs"][order]) == 2 for row in rows for order in ("revision_first", "answer_first"))
    for row in rows:
        (a, b), (c, d) = row["log_probs"]["revision_first"], row["log_probs"]["answer_first"]
        assert row["preferred"] == ("revision" if (a - b) + (d - c) > 0 else "answer")
    judge = metrics["train"]["judge"]
    assert 0 <= judge["consistent"] <= 1 and judge["judged"] >= metrics["train"]["pairs"]


def test_the_same_bytes_twice(work, tmp_path):
    for name in ("one", "two"):
        preferred(work, tmp_path / name, judge=True, prefer="judged")
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_adherence_counts_what_follows(work, tmp_path):
    told = made(AdherenceSettings, {"temperature": 1.0, "max_new_tokens": 12, "samples": 3, "held_out": 8, "seed": 1})
    out = tmp_path / "answers.json"
    metrics = adherence.main(work / "models/sft", work / "none", CHECKABLE, out, settings=told)
    rows = json.loads(out.read_text())["rows"]
    assert metrics["prompts"] == len(rows) == 8 and {len(row["answers"]) for row in rows} == {3}
    answers = [answer for row in rows for answer in row["answers"]]
    whole = [bool(answer.strip()) and not any(map(str.isdecimal, answer)) for answer in answers]
    assert metrics["follows_by_principle"]["no_digits"] == pytest.approx(sum(whole) / len(whole))
    assert metrics["empty"] == sum(not answer for answer in answers)
    again = tmp_path / "again.json"
    adherence.main(work / "models/sft", work / "none", CHECKABLE, again, settings=told)
    assert again.read_bytes() == out.read_bytes()


def test_adherence_needs_an_exact_test(work, tmp_path):
    told = made(AdherenceSettings, {"held_out": 8, "seed": 1})
    with pytest.raises(InputError, match=r"natural.yaml: no principle has a test"):
        adherence.main(work / "models/sft", work, ROOT / "constitutions/natural.yaml", tmp_path / "x", settings=told)


def test_rows_that_give_no_pair_are_named(work, tmp_path):
    """Empty revisions alone: counted in what the critiques say, and refused where nothing is left."""
    (tmp_path / "critiques").mkdir()
    for split in ("train", "validation"):
        rows = read_jsonl(work / f"critiques/{split}.jsonl")
        write_jsonl(tmp_path / f"critiques/{split}.jsonl", [row | {"outcome": "empty_revision"} for row in rows])
    with pytest.raises(InputError, match="no preference pair in the train split"):
        preferred(tmp_path, tmp_path / "preferences")
    (tmp_path / "revisions").mkdir()
    told = RevisionSettings(labels="principles", seed=1)
    with pytest.raises(InputError, match="no revision in the train split"):
        revisions.main(tmp_path / "critiques", CHECKABLE, tmp_path / "revisions", settings=told)
