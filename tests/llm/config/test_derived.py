"""What is derived from the keys in the code: the committed files are current, and say and keep what they should."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from llm.config.__main__ import DRAFT, ROOT, derived
from llm.config.blocks import Config, schema
from llm.config.default import default_config
from llm.config.schema import schema_of
from stemma.workflow.config import Validator, check, with_numbers

FILES = derived()
OVERLAY = json.loads(FILES[ROOT / "rules/config.schema.json"])
PRESETS = sorted((ROOT / "presets").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_derived_file_is_current(file: Path):
    assert file.read_text(encoding="utf-8") == FILES[file], "run python -m llm.config"


def test_the_default_config_is_a_config_and_says_what_the_code_does():
    config = yaml.safe_load(FILES[ROOT / "config.yaml"])
    stated = json.loads(json.dumps(config))
    check(config, schema())
    assert config["pretrain"]["clip_norm"] == 1.0, "a key that is not shown has its default"
    layout = stated["pretrain"].pop("parallel")
    assert layout.items() <= config["pretrain"]["parallel"].items()
    assert stated["pretrain"].items() <= config["pretrain"].items()
    stated["pretrain"]["parallel"] = layout
    assert yaml.safe_load(default_config(Config, FILES[ROOT / "config.yaml"])) == stated


def test_values_of_the_run_s_own_data_are_kept_as_they_are_written():
    """With comments within, lists in one line or in many; a value that the code says is the code's."""
    present = FILES[ROOT / "config.yaml"]
    changed = present.replace("  d_model: 128", "  d_model: 256").replace(
        "    n_words: {min: 50,", "    n_words: {min: 7,"
    )
    changed = changed.replace("  # C4\n", "  # of C4\n").replace("steps: 4350 ", "steps: 4351 ")
    assert changed != present
    kept = default_config(Config, changed)
    assert kept == changed.replace("steps: 4351 ", "steps: 4350 ")


def test_editors_read_the_schema_beside_the_config():
    """The first line of config.yaml and of each preset names it, as yaml-language-server wants it."""
    for file in (ROOT / "config.yaml", *PRESETS):
        named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", file.read_text())
        assert named, file
        assert (file.parent / named[1]).resolve() == ROOT / "rules/config.schema.json"


def test_the_editors_schema_is_one_and_takes_every_overlay():
    assert OVERLAY["$schema"] == DRAFT
    jsonschema.Draft202012Validator.check_schema(OVERLAY)
    for file in (ROOT / "config.yaml", *PRESETS):
        config = with_numbers(yaml.safe_load(file.read_text()), OVERLAY)  # YAML 1.2, which editors read, has 1e9
        found = [error.message for error in Validator(OVERLAY).iter_errors(config)]
        assert found == [], file
    wrong = {"pretrain": {"lerning_rate": 1, "batch_size": 0}, "align": {"dtype": "float16"}}
    assert len(list(Validator(OVERLAY).iter_errors(wrong))) == 3


def described(rule: dict, place: str = "") -> list[str]:
    """Keys without a sentence."""
    found = []
    for name, inner in rule.get("properties", {}).items():
        found += [] if inner.get("description", "").endswith(".") else [f"{place}{name}"]
        found += described(inner, f"{place}{name}.")
    return found


def test_every_key_has_a_sentence():
    assert described(schema_of(Config, explained=True)) == []


def test_the_page_has_every_key():
    page = FILES[ROOT / "docs/config.md"]
    blocks = re.split(r"^## ", page, flags=re.MULTILINE)
    for name in ("pretrain", "pretrain.parallel", "align.sft.schedule", "sources.<name>", "plan.cluster"):
        assert any(block.startswith(f"`{name}`\n") for block in blocks), name
    [schedule] = [block for block in blocks if block.startswith("`align.sft.schedule`")]
    assert "| `learning_rate` | number, > 0 | `0.005` | AdamW's, at its peak. |" in schedule


@pytest.mark.parametrize("word", ["batch", "lr", "warmup"])
def test_one_vocabulary(word: str):
    """batch_size, learning_rate, warmup_steps and dtype mean the same in every stage."""
    assert f'"{word}":' not in FILES[ROOT / "rules/config.schema.json"]
