"""A script's command line: a slice as one option of JSON, as options of its own, and both; what surrounds a job."""

import json
import runpy
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from llm.command import Surroundings, command, parser
from llm.settings import key

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Settings:
    steps: int = key(minimum=1)
    """How long, in 100% of steps."""
    mode: Literal["fast", "slow"] = key("slow")
    limit: int | None = key(3)
    names: list[str] = key([])


def main(out: Path, more: Path | None = None, *, settings: Settings, surroundings: Surroundings = Surroundings()):  # noqa: B008
    """out: said of a path."""
    return {
        "out": str(out), "more": more, "settings": [settings.steps, settings.mode, settings.limit, settings.names],
        "scratch": str(surroundings.scratch), "minutes": surroundings.time_limit,
    }  # fmt: skip


def printed(capsys: pytest.CaptureFixture, *arguments: str) -> dict:
    command(main, ["--out", "a", *arguments])
    return json.loads(capsys.readouterr().out)


def test_a_slice_as_json_and_as_options(capsys: pytest.CaptureFixture):
    whole = json.dumps({"steps": 5, "mode": "fast", "names": ["x"]})
    assert printed(capsys, "--settings", whole)["settings"] == [5, "fast", 3, ["x"]]
    assert printed(capsys, "--steps", "7")["settings"] == [7, "slow", 3, []]
    found = printed(capsys, "--settings", whole, "--steps", "8", "--limit", "null", "--names", '["y"]')
    assert found["settings"] == [8, "fast", None, ["y"]]


def test_a_slice_s_field_may_have_a_path_s_name(capsys: pytest.CaptureFixture):
    def takes(names: Path, *, settings: Settings) -> dict:
        return {"path": str(names), "names": settings.names}

    command(takes, ["--names", "a", "--settings", json.dumps({"steps": 5, "names": ["x"]})])
    assert json.loads(capsys.readouterr().out) == {"path": "a", "names": ["x"]}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "the following arguments are required: --out"),
        (["--out", "a", "--step", "3"], "unrecognized arguments: --step 3"),
        (["--out", "a", "--steps", "many"], "argument --steps: invalid loads value: 'many'"),
    ],
)
def test_a_script_by_hand_says_which_rule_runs_it(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sys.argv", ["scripts/process/clean.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        command(main)
    line = "`snakemake clean` runs this script with all that it needs, --help explains"
    assert (ended.value.code, capsys.readouterr().err) == (2, f"error: clean.py: {problem}; {line}\n")


def test_surroundings_are_of_the_environment(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STEMMA_SCRATCH", "there")
    monkeypatch.setenv("STEMMA_TIME_LIMIT", "5")
    found = printed(capsys, "--steps", "1")
    assert (found["scratch"], found["minutes"]) == ("there", 5)
    assert printed(capsys, "--steps", "1", "--scratch", "here")["scratch"] == "here"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--settings", "{}"], "error: steps is missing; add it\n"),
        (["--steps", "0"], "error: steps: 0 is less than the minimum of 1; correct the value\n"),
        (["--steps", "1", "--mode", "other"], "error: mode: 'other' is not one of fast, slow\n"),
        (["--settings", "[]"], "error: Settings: [] is not of type object; correct the value\n"),
    ],
)
def test_a_mistake_is_one_line(capsys: pytest.CaptureFixture, arguments: list[str], said: str):
    with pytest.raises(SystemExit) as caught:
        command(main, ["--out", "a", *arguments])
    assert (caught.value.code, capsys.readouterr().err) == (2, said)


def test_help_has_the_sentence_of_each_key():
    text = parser(main).format_help()
    assert "out: said of a path." in text
    assert "How long, in 100% of steps." in text
    assert "default: 'slow'" in text


@pytest.mark.parametrize("script", sorted((ROOT / "scripts").rglob("*.py")), ids=lambda path: path.stem)
def test_every_script_explains_itself(script: Path):
    """One option is one key: two of a name would be refused here."""
    assert parser(runpy.run_path(str(script))["main"]).format_help().startswith("usage: ")
