"""The benchmark of what each method gains: a gain has to stand out of two kinds of noise, and items are dealt anew."""

from pathlib import Path

import pytest

from benchmarks.align_moves import HELD_OUT, ROWS, Found, deal, kept, line, moves
from llm.align.records import read_jsonl
from tests.llm.align.toy import write_inputs


@pytest.fixture(scope="module")
def work(tmp_path_factory, tokenizer_files) -> Path:
    """A directory with clean/ and base/, a random model."""
    directory = tmp_path_factory.mktemp("moves")
    write_inputs(directory, tokenizer_files["model"], 300, None)
    return directory


def test_a_gain_has_to_stand_out_of_both_kinds_of_noise() -> None:
    def found(*gains: float, error: float = 0.01) -> list[Found]:
        return [Found(0.5, 0.5 + gain, error, 1.0) for gain in gains]

    assert moves(ROWS["dpo"], found(0.20, 0.25, 0.30))
    assert not moves(ROWS["dpo"], found(0.20, 0.25, 0.30, error=0.25)), "within the noise of the items"
    assert not moves(ROWS["dpo"], found(0.01, 0.25, 0.80)), "within the noise of the seeds"
    assert not moves(ROWS["dpo"], found(-0.20, -0.25, -0.30)), "the wrong way"
    assert not moves(ROWS["sft"], found(0.20, 0.25, 0.30)) and moves(ROWS["sft"], found(-0.20, -0.25, -0.30))
    assert "| 0.250 ± 0.029 | yes |" in line("dpo", ROWS["dpo"], found(0.20, 0.25, 0.30))


def test_no_answer_is_held_out_and_trained_on_and_seeds_differ(work: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        deal(work / "clean/dict", seed, tmp_path / str(seed))
    held_out = []
    for seed in (0, 1):
        for kind, answer in (("instructions", lambda row: row["messages"][1]["content"]), ("preferences", chosen)):
            train, validation = (
                {answer(row) for row in read_jsonl(tmp_path / str(seed) / kind / f"{split}.jsonl")}
                for split in ("train", "validation")
            )
            assert len(validation) >= HELD_OUT // 2 and not train & validation
            held_out.append(validation)
    assert held_out[0] != held_out[2]


def chosen(row: dict) -> str:
    return row["chosen"]


@pytest.mark.parametrize("name", ["sft", "kto", "grpo"])
def test_a_method_is_measured_before_and_after_and_kept(name: str, work: Path, tmp_path: Path) -> None:
    found = kept(name, 0, work / "base", work / "clean/dict", tmp_path)
    # The answers of a few prompts need not change with a policy that did.
    assert (found.apart if found.apart is not None else found.before != found.after) and found.error > 0
    assert kept(name, 0, work / "base", work / "clean/dict", tmp_path) == found
