"""What is cut out stands elsewhere, nothing else is, and long repetitions do not escape."""

from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.io import parquet
from llm.process.dedup import substrings
from llm.process.dedup.substrings import entries, repeated, spans
from llm.process.pii.spans import Span, redact, with_cuts
from llm.process.settings.substrings import SubstringsSettings
from scripts.process import substrings as script
from tests.llm.process.dedup.dedup_jobs import deduplicated, made, write_raw

LEAST = 60


def cut(texts: list[str]) -> tuple[list[str], list[list[str]]]:
    """The texts without what stood before, and what was cut out of each; a text's place is its name."""
    rows = np.arange(len(texts), dtype=np.uint64)
    table = entries(rows, rows, pl.Series(texts, dtype=pl.String), LEAST)
    found = {row: [(s["start"], s["end"]) for s in own] for row, own in spans(repeated(table)).iter_rows()}
    parts = [[text[start:end] for start, end in found.get(i, [])] for i, text in enumerate(texts)]
    return [redact(text, with_cuts([], found.get(i, []))) for i, text in enumerate(texts)], parts


def words(seed: int, n: int, alphabet: str = "word") -> str:
    return " ".join(f"{alphabet}{i}" for i in np.random.Generator(np.random.PCG64(seed)).integers(0, 10**6, n))


def test_a_shared_stretch_is_cut_from_the_later_document() -> None:
    shared = words(0, 100, "gemeinsam—é")
    texts = [f"{words(1, 30)} {shared} {words(2, 30)}", words(3, 200), f"{words(4, 30)} {shared} {words(5, 30)}"]
    left, parts = cut(texts)
    assert left[:2] == texts[:2]
    (part,) = parts[2]
    assert part in shared and len(part) > 0.6 * len(shared)


def test_repetition_within_a_document_leaves_the_first() -> None:
    once = words(7, 60)
    ((left,), _) = cut([f"{once} {words(8, 5)} {once}"])
    assert left.startswith(once) and len(left) < 1.5 * len(once)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["alpha", "b", "中文", "é—", "x" * 30, "\n"]), max_size=80), max_size=4))
def test_only_what_stands_elsewhere_is_cut(parts: list[list[str]]) -> None:
    texts = list(dict.fromkeys(" ".join(part) for part in parts))
    left, removed = cut(texts)
    for i, (text, rest, gone) in enumerate(zip(texts, left, removed, strict=True)):
        assert len(rest) + sum(map(len, gone)) == len(text)
        for part in gone:
            window = part[: LEAST // 3]
            assert any(window in other for other in texts[:i]) or text.count(window) > 1


def test_nothing() -> None:
    assert cut([]) == ([], [])
    assert cut(["", "short", "x" * 500]) == (["", "short", "x" * 500], [[], [], []])


@settings(max_examples=200, deadline=None)
@given(st.text("abc", max_size=30), st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_cuts_and_spans_by_character(text: str, first: set[int], second: set[int]) -> None:
    """Each character of a span that stays is hidden, each of a cut gone, all others stand."""
    pieces = [sorted(edge for edge in edges if edge <= len(text)) for edges in (first, second)]
    hidden, cuts = (list(zip(edges[0::2], edges[1::2], strict=False)) for edges in pieces)
    united = with_cuts([Span("k", *pair) for pair in hidden], cuts)
    assert all(a.end <= b.start for a, b in zip(united, united[1:], strict=False))
    covered = {i for span in united for i in range(span.start, span.end)}
    assert covered == {i for start, end in [*hidden, *cuts] for i in range(start, end)}
    within = [any(a <= start and end <= b for a, b in cuts) for start, end in hidden]
    assert redact(text, united).count("<k>") == within.count(False)


def jobs(directory: Path, sources: list[tuple[list[str], list[str]]], per_part: int) -> tuple[dict[str, list], dict]:
    """All jobs up to the spans of each document, by its id; and the metrics."""
    raw = [write_raw(directory / f"raw/{i}", *source, per_part=per_part) for i, source in enumerate(sources)]
    deduplicated(directory, raw)
    numbers = range(len(raw))
    out = [made(directory / f"substrings/{i}") for i in numbers]
    facts, duplicates = (
        [directory / name.format(i) for i in numbers] for name in ("facts/{}", "duplicates-{}.parquet")
    )
    metrics = script.main(raw, facts, duplicates, out, settings=SubstringsSettings(LEAST))
    for i in numbers:
        assert [path.name for path in parquet.parts(out[i])] == [path.name for path in parquet.parts(raw[i])]
    return dict(pl.concat([parquet.read_all(path, ["id", "spans"]) for path in out]).iter_rows()), metrics


def test_the_job_depends_on_no_order_nor_number_of_shards_and_ranges(tmp_path: Path, monkeypatch) -> None:
    shared = words(0, 100, "gemeinsam—é")
    texts = [f"{words(10 + i, 60)} {shared if i % 3 == 0 else ''} {words(50 + i, 60)}" for i in range(12)]
    texts.append(texts[3])  # dropped as a duplicate, so nobody's first, and not looked at
    ids = [f"d{i:02d}" for i in range(len(texts))]
    found, metrics = jobs(tmp_path / "one", [(ids, texts)], per_part=100)
    assert sum(bool(own) for own in found.values()) == 3 == metrics["documents_with_spans"]
    assert not found["d12"]
    cut_out = {i: "".join(texts[i][s["start"] : s["end"]] for s in found[ids[i]]) for i in range(12) if found[ids[i]]}
    assert all(part in shared and len(part) > 0.6 * len(shared) for part in cut_out.values())
    assert metrics["characters"] == sum(map(len, cut_out.values()))
    monkeypatch.setattr(substrings, "TEXT", 2000)
    halves = [(ids[7:], texts[7:]), (ids[:7], texts[:7])]
    assert jobs(tmp_path / "many", halves, per_part=2)[0] == found
