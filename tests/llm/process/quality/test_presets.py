"""The published rule sets, as config presets, decide as a plain reading of the papers does."""

from pathlib import Path

import polars as pl
import pytest
import yaml

from llm.process.quality.signals import signals
from llm.process.quality.thresholds import reason, resolve
from tests.llm.process.quality.test_signals import EDGES, lower, ratio, reference

ROOT = Path(__file__).parents[4]
TABLE_A1 = {
    "duplicate_line_ratio": 0.30, "duplicate_paragraph_ratio": 0.30, "duplicate_line_char_ratio": 0.20,
    "duplicate_paragraph_char_ratio": 0.20, "top_2gram_char_ratio": 0.20, "top_3gram_char_ratio": 0.18,
    "top_4gram_char_ratio": 0.16, "duplicate_5gram_char_ratio": 0.15, "duplicate_6gram_char_ratio": 0.14,
    "duplicate_7gram_char_ratio": 0.13, "duplicate_8gram_char_ratio": 0.12, "duplicate_9gram_char_ratio": 0.11,
    "duplicate_10gram_char_ratio": 0.10,
}  # fmt: skip


def gopher(text: str) -> bool:
    words, lines = text.split(), [line.strip() for line in text.split("\n") if line.strip()]
    if not 50 <= len(words) <= 100_000 or not 3 <= sum(map(len, words)) / len(words) <= 10:
        return False
    if text.count("#") / len(words) > 0.1 or (text.count("...") + text.count("…")) / len(words) > 0.1:
        return False
    if ratio(sum(line.startswith(tuple("-*•‣▪◦●·")) for line in lines), len(lines)) > 0.9:
        return False
    if ratio(sum(line.endswith(("...", "…")) for line in lines), len(lines)) > 0.3:
        return False
    if sum(any(c.isalpha() for c in word) for word in words) / len(words) < 0.8:
        return False
    if len({word.lower() for word in words} & {"the", "be", "to", "of", "and", "that", "have", "with"}) < 2:
        return False
    found = reference(text)
    return all(found[name] <= bound for name, bound in TABLE_A1.items())


def c4(text: str) -> bool:
    return "lorem ipsum" not in lower(text) and "{" not in text and reference(text)["c4_sentence_count"] >= 3


def fineweb(text: str) -> bool:
    found = reference(text)
    return (
        gopher(text)
        and "lorem ipsum" not in lower(text)
        and "{" not in text
        and found["sentence_count"] >= 3
        and not found["terminal_line_ratio"] <= 0.12
        and not found["duplicate_line_char_ratio"] >= 0.1
        and not found["short_line_ratio"] >= 0.67
    )


def decisions(preset: str, texts: list[str]) -> list[bool]:
    """What the preset keeps, language aside, over config.yaml as Snakemake lays it."""
    base = yaml.safe_load((ROOT / "config.yaml").read_text())["process"]
    over = yaml.safe_load((ROOT / f"presets/{preset}.yaml").read_text())["process"]
    assert over["overrides"].keys() == base["overrides"].keys()
    thresholds = {
        name: {**(base["thresholds"].get(name) or {}), **bounds} if bounds else bounds
        for name, bounds in (base["thresholds"] | over["thresholds"]).items()
        if name not in ("language", "language_score", "contamination")
    }
    rules = resolve(thresholds, {}, {}, 0.0, 0)
    frame = pl.DataFrame(signals(pl.Series(texts))).with_columns(
        keep=pl.lit(True), reason=pl.lit(None, pl.String), pii=pl.lit([], pl.List(pl.Struct({"kind": pl.String})))
    )
    return frame.select(kept=reason(rules).is_null())["kept"].to_list()


def corpus() -> list[str]:
    """Prose, code and configuration of this project in pieces of several sizes, edges, and texts at the bounds."""
    texts = list(EDGES)
    for path in (*sorted((ROOT / "docs").glob("*.md")), ROOT / "config.yaml", ROOT / "llm/collect/archive.py"):
        lines = path.read_text(encoding="utf-8").split("\n")
        texts += ["\n".join(lines[i : i + size]) for size in (8, 40) for i in range(0, len(lines), size)]
    prose = [f"The cat number {i} sat on a mat of colour {i * i} and was with us." for i in range(25)]
    texts += ["\n".join(prose), "\n".join([*prose[:3], *["a plain line without any mark, that is long enough"] * 22])]
    for marked in (2, 3, 4):  # of 25 lines: 0.08, 0.12, 0.16 end in a punctuation mark
        texts.append("\n".join(line if i < marked else line[:-1] for i, line in enumerate(prose)))
    for short in range(15, 19):  # of 25 lines
        texts.append("\n".join(f"Line {i} of it is short." if i < short else line for i, line in enumerate(prose)))
    for again in range(1, 8):
        texts.append("\n".join(prose + prose[:again]))
    return texts


@pytest.mark.parametrize("rule", [gopher, c4, fineweb])
def test_presets_decide_as_published(rule) -> None:  # noqa: ANN001
    texts = corpus()
    expected = [rule(text) for text in texts]
    assert 5 < sum(expected) < len(texts) - 5
    assert decisions(f"filters-{rule.__name__}", texts) == expected


def test_a_value_at_an_exclusive_bound_goes() -> None:
    text = "\n".join(["one line that ends."] * 3 + ["another without"] * 22)  # 3 / 25 = 0.12
    table = pl.DataFrame(signals(pl.Series([text])))
    for bounds, kept in (
        ({"above": 0.12}, False),
        ({"min": 0.12}, True),
        ({"below": 0.12}, False),
        ({"max": 0.12}, True),
    ):
        rules = resolve({"terminal_line_ratio": bounds}, {}, {}, 0.0, 0)
        found = table.with_columns(keep=True, reason=pl.lit(None, pl.String)).select(x=reason(rules))["x"][0]
        assert found == (None if kept else f"terminal_line_ratio_{next(iter(bounds))}")
