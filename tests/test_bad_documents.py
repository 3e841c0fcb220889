"""Bad documents on their way through stage 2, by the real workflow: counted by reason, or one clear line."""

import json
import random
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

from tests.test_bad_input import ROOT, error_of, snakemake, source

WORDS = """the be to of and that have with a report on new town hall people water river house paper winter market garden
letter morning road station summer bread window mountain""".split()  # noqa: SIM905


def prose(seed: object, n: int = 120) -> str:
    """n words, in sentences that pass the filters."""
    drawn = random.Random(str(seed))
    words = [word + ("." if i % 9 == 8 else "") for i, word in enumerate(drawn.choices(WORDS, k=n))]
    return f"Part {seed}. " + " ".join(words) + "."


def overlay(directory: Path, texts: list[str | None], **process: object) -> dict:
    """A source `mine` of JSON lines, an evaluation set beside it, and settings of stage 2."""
    (directory / "exam.jsonl").write_text(json.dumps({"text": prose("exam", 60)}) + "\n")
    with (directory / "mine.jsonl").open("w") as file:
        file.writelines(json.dumps({"id": "same", "text": text}) + "\n" for text in texts)
    config = source(path=str(directory / "mine.jsonl"), format="jsonl")
    config["sources"]["exam"] = config["sources"]["mine"] | {"path": str(directory / "exam.jsonl")}
    without_models = {"curated": [], "toxicity": None}
    return config | {"process": {"decontaminate": {"evaluations": ["exam"]}, "reference": without_models} | process}


def metrics(directory: Path, target: str) -> dict:
    """What the record of a target says that its script returned, and what it cost."""
    shown = subprocess.run(
        [sys.executable, "-m", "stemma", "show", target], cwd=directory, capture_output=True, text=True, check=True
    )
    details = json.loads(shown.stdout)["predicate"]["runDetails"]
    return details["stemma_metrics"] | {"peak": details["stemma_usage"]["peak_memory_bytes"]}


LIFTED = dict.fromkeys(yaml.safe_load((ROOT / "config.yaml").read_text())["process"]["thresholds"])


def test_every_document_is_kept_or_dropped_by_name(tmp_path: Path) -> None:
    """Equal ids, equal texts, no text, NULs, an item of an evaluation set."""
    good = [prose(i) for i in range(40)]
    texts = [*good, good[3], None, "", "a\0b", "short", prose("x") + " " + prose("exam", 60), "日本語。" * 40]
    lifted = {name: None for name in LIFTED if name not in ("language", "n_words", "contamination")}
    config = overlay(tmp_path, texts, overrides={"books": lifted}, validation_fraction=0.2)
    done = snakemake(tmp_path, config, "results/mix/plan.parquet")
    assert done.returncode == 0, done.stderr
    raw = metrics(tmp_path, "results/raw/mine/manifest.json")
    assert raw["skipped"] == {"empty": 2, "nul": 1}
    assert raw["documents"] + sum(raw["skipped"].values()) == len(texts)
    clean = metrics(tmp_path, "results/clean/mine/manifest.json")
    assert clean["dropped"] == {"contamination_max": 1, "exact_duplicate": 1, "language_in": 1, "n_words_min": 1}
    assert clean["documents_in"] == raw["documents"] == clean["documents_out"] + sum(clean["dropped"].values())
    together = metrics(tmp_path, "results/clean/manifest.json")
    assert together["documents_in"] == raw["documents"]
    assert together["dropped"] == clean["dropped"]
    kept = pl.read_parquet(tmp_path / "results/clean/mine/part-*.parquet")["id"]
    dropped = pl.read_parquet(tmp_path / "results/dropped/mine/part-*.parquet")["id"]
    assert sorted([*kept, *dropped]) == [f"mine/{i:08d}" for i in range(raw["documents"])]


def test_a_source_whose_documents_are_all_dropped(tmp_path: Path) -> None:
    config = overlay(tmp_path, ["much too short", "so is this"])
    line = error_of(snakemake(tmp_path, config, "clean_shards"))
    assert "source mine: all 2 documents are dropped, most by " in line
    assert "process.thresholds" in line


@pytest.mark.parametrize("data", [b"", b"no parquet", b"PAR1" + bytes(100) + b"PAR1"], ids=["empty", "text", "damaged"])
def test_malformed_parquet(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "mine.parquet").write_bytes(data)
    config = overlay(tmp_path, []) | source(path=str(tmp_path / "mine.parquet"), format="parquet")
    line = error_of(snakemake(tmp_path, config | {"process": {"decontaminate": {"evaluations": []}}}, "raw"))
    assert "mine" in line
    assert "parquet" in line


def test_parquet_without_rows(tmp_path: Path) -> None:
    """One among others is taken as it is; alone it is a source that yields nothing."""
    (tmp_path / "rows").mkdir()
    pl.DataFrame({"text": []}, schema={"text": pl.String}).write_parquet(tmp_path / "rows/a.parquet")
    config = source(path=str(tmp_path / "rows"), format="parquet") | {"process": {"decontaminate": {"evaluations": []}}}
    assert "yields nothing" in error_of(snakemake(tmp_path, config, "raw"))
    pl.DataFrame({"text": [prose(1), None]}).write_parquet(tmp_path / "rows/b.parquet")
    done = snakemake(tmp_path, config, "raw")
    assert done.returncode == 0, done.stderr
    assert metrics(tmp_path, "results/raw/mine/manifest.json")["documents"] == 1


@pytest.mark.parametrize(
    ("process", "message"),
    [
        pytest.param(
            {"mix": {"epochs": {"books": 2}, "weights": {"books": 1}}},
            "process.mix: epochs say how much is read",
            marks=pytest.mark.thorough,
        ),
        ({"decontaminate": {"evaluations": ["exam"], "ngram": 5}}, "min_words: 8 must be at most ngram"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, process: dict, message: str) -> None:
    config = overlay(tmp_path, [prose(i) for i in range(12)], overrides={"books": LIFTED})
    config["process"] |= process
    assert message in error_of(snakemake(tmp_path, config, "results/mix/plan.parquet"))


@pytest.mark.parametrize(
    ("process", "message"),
    [
        ({"decontaminate": {"evaluations": ["nosuch"]}}, "process.decontaminate.evaluations: nosuch is not defined"),
        ({"decontaminate": {"evaluations": ["mine"]}}, "mine is an evaluation set"),
    ],
)
def test_evaluation_sets_that_cannot_be(tmp_path: Path, process: dict, message: str) -> None:
    config = overlay(tmp_path, [prose(1)]) | {"process": process}
    assert message in error_of(snakemake(tmp_path, config, "results/mix/plan.parquet"))
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["the paper of that winter have a new garden ", "x"], ids=["words", "one word"])
def test_lines_of_60_and_100_megabytes_within_2_gib(tmp_path: Path, unit: str) -> None:
    """The largest document there may be goes all the way; a larger one is counted where it comes in."""
    lifted = LIFTED | {"contamination": None}
    texts = [*(prose(i) for i in range(40)), *(unit * (size // len(unit)) for size in (60_000_000, 100_000_000))]
    config = overlay(tmp_path, texts, overrides={"books": lifted}, validation_fraction=0.2)
    done = snakemake(tmp_path, config, "results/mix/plan.parquet")
    assert done.returncode == 0, done.stderr
    assert metrics(tmp_path, "results/raw/mine/manifest.json")["skipped"] == {"too large": 1}
    assert metrics(tmp_path, "results/clean/mine/manifest.json")["documents_out"] == 41
    targets = ["raw/mine/manifest.json", "annotated/mine/manifest.json", "contamination/mine.parquet"]
    targets += ["duplicates/mine.parquet", "clean/mine/manifest.json", "clean/manifest.json", "mix/plan.parquet"]
    peaks = {target: metrics(tmp_path, f"results/{target}")["peak"] for target in targets}
    assert {target: peak for target, peak in peaks.items() if peak > 2 << 30} == {}
