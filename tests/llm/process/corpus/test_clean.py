"""Every document is kept or has one reason; overrides, redaction and the split do what their names say."""

import hashlib
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.errors import InputError
from llm.io import link_tree, parquet
from llm.process.corpus import clean as subject
from llm.process.quality import thresholds as filters
from llm.process.settings.clean import CleanSettings
from scripts.process import annotate, clean, clean_shards
from tests.llm.process.dedup.dedup_jobs import deduplicated

PROSE = (
    "The committee that met in the old town hall decided to publish the report, and it asked the members to read it "
    "with care before the end of the year. Nobody objected to the plan, but some of them wanted to have more time. "
    "They were told that the printer could not wait, and that a second edition would follow in the spring. "
)
EDGES = [
    "",
    " \n",
    "word",
    "no newline here",
    "中文没有空格。" * 30,
    "👍🏽 " * 60,
    "x" * 1_000_000,
    "\0\0",
    "a\n" * 5000,
    "write to jane.doe@example.com",
]


def prose(n: int, seed: int = 0) -> list[str]:
    """n different texts that pass the filters."""
    generator = np.random.Generator(np.random.PCG64(seed))
    words = PROSE.split()
    return [" ".join(generator.permutation(words * 2)[:90]) + f" and that of {seed}-{i}." for i in range(n)]


def raw(directory: Path, source: str, texts: list[str], domain: str = "web", per_part: int = 1000) -> Path:
    path = directory / "raw" / source
    path.mkdir(parents=True)
    table = pl.DataFrame(
        {
            "id": [f"{source}/{i:08d}" for i in range(len(texts))],
            "text": texts,
            "title": [f"title {i} of a.b@example.com" if i % 2 else None for i in range(len(texts))],
            "url": [f"file:{i}" for i in range(len(texts))],
            "source": [source] * len(texts),
            "domain": [domain] * len(texts),
            "license": ["MIT"] * len(texts),
            "sha256": [hashlib.sha256(text.encode()).hexdigest() for text in texts],
        },
        schema=dict.fromkeys(["id", "text", "title", "url", "source", "domain", "license", "sha256"], pl.String),
    )
    for i in range(0, max(len(texts), 1), per_part):
        parquet.write(table[i : i + per_part], path / f"part-{i // per_part:05d}.parquet")
    return path


OPTIONS = {
    "thresholds": {"n_words": {"min": 5}, "language": {"in": ["en"]}},
    "overrides": {},
    "pii": {"email": "redact"},
    "validation_fraction": 0.1,
    "seed": 1,
}


def dropped_of(cleaned: Path) -> Path:
    """Where what was dropped stands, beside the clean shards of a source."""
    return cleaned.parents[1] / "dropped" / cleaned.name


def process(directory: Path, sources: dict[str, Path], **options: object) -> tuple[dict[str, Path], dict[str, dict]]:
    """annotate, deduplicate and clean; the clean directories and metrics by source."""
    annotated = {name: directory / "annotated" / name for name in sources}
    for name, path in sources.items():
        annotated[name].mkdir(parents=True)
        annotate.main(path, annotated[name])
    deduplicated(directory, list(sources.values()))
    duplicates = {name: directory / f"duplicates-{i}.parquet" for i, name in enumerate(sources)}
    cleaned, metrics = {}, {}
    for name, path in sources.items():
        cleaned[name] = directory / "clean" / name
        cleaned[name].mkdir(parents=True)
        without = dropped_of(cleaned[name])
        without.mkdir(parents=True)
        told = CleanSettings(**OPTIONS | options)
        metrics[name] = clean.main(path, annotated[name], duplicates[name], cleaned[name], without, settings=told)
    return cleaned, metrics


def test_documents_in_are_documents_out_plus_dropped(tmp_path: Path) -> None:
    texts = [*prose(20), *EDGES, *prose(5), *EDGES]
    cleaned, metrics = process(tmp_path, {"s": raw(tmp_path, "s", texts, per_part=7)})
    kept = parquet.read_all(cleaned["s"], list(subject.COLUMNS))
    dropped = pl.read_parquet(dropped_of(cleaned["s"]) / "part-*.parquet")
    assert sorted([*kept["id"], *dropped["id"]]) == [f"s/{i:08d}" for i in range(len(texts))]
    assert dropped["reason"].null_count() == 0
    assert (
        metrics["s"]["documents_in"]
        == len(texts)
        == metrics["s"]["documents_out"] + sum(metrics["s"]["dropped"].values())
    )
    assert metrics["s"]["bytes_in"] == metrics["s"]["bytes_out"] + sum(metrics["s"]["dropped_bytes"].values())
    assert metrics["s"]["dropped"]["empty"] == 4
    assert metrics["s"]["dropped"]["exact_duplicate"] == 5 + len(EDGES) - 2
    assert len(list(cleaned["s"].glob("part-*"))) == 7


def test_redaction(tmp_path: Path) -> None:
    text = prose(1)[0] + " Mail to jane.doe@example.com, é, or call (415) 555-2671."
    pii = {"email": "redact", "phone": "report"}
    cleaned, metrics = process(tmp_path, {"s": raw(tmp_path, "s", [prose(1, seed=1)[0], text])}, pii=pii)
    kept = parquet.read_all(cleaned["s"], ["text", "title"])
    assert kept["text"][1] == text.replace("jane.doe@example.com", "<email>")
    assert kept["title"].to_list() == [None, "title 1 of <email>"]
    assert (metrics["s"]["redacted"], metrics["s"]["reported"]) == ({"email": 1}, {"phone": 1})


def test_dropping_for_pii(tmp_path: Path) -> None:
    texts = [prose(1, seed=1)[0], prose(1)[0] + " Mail to jane.doe@example.com."]
    _, metrics = process(tmp_path, {"s": raw(tmp_path, "s", texts)}, pii={"email": "drop"})
    assert metrics["s"]["dropped"] == {"pii_email": 1}


def test_overrides_of_a_domain() -> None:
    base = {"n_words": {"min": 50, "max": 100}, "mean_word_length": {"max": 10}}
    rules = filters.resolve(base, {"n_words": {"min": 5}, "mean_word_length": None}, {}, 0.1, 0)
    assert rules.thresholds == {"n_words": {"min": 5, "max": 100}}
    assert filters.resolve(base, {"n_words": {"max": None}}, {}, 0.1, 0).thresholds["n_words"] == {"min": 50}


@pytest.mark.parametrize(
    ("thresholds", "pii", "fraction", "message"),
    [
        ({"n_wrods": {"min": 1}}, {}, 0.1, "n_wrods"),
        ({"n_words": {"least": 1}}, {}, 0.1, "least"),
        ({"n_words": {"min": "1"}}, {}, 0.1, "wrong type"),
        ({"n_words": {"in": ["x"]}}, {}, 0.1, "language"),
        ({"language": {"in": "en"}}, {}, 0.1, "wrong type"),
        ({}, {"nickname": "redact"}, 0.1, "known: email"),
        ({}, {"email": "hide"}, 0.1, "report"),
        ({}, {}, 1.5, "validation_fraction"),
        ({}, {}, "0.1", "validation_fraction"),
    ],
)
def test_bad_config(thresholds: dict, pii: dict, fraction: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        filters.resolve(thresholds, {}, pii, fraction, 0)


def test_everything_dropped_names_the_reason(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"source s: all 4 documents are dropped, most by n_words_min \(3\)"):
        process(tmp_path, {"s": raw(tmp_path, "s", ["one", "two", "three", ""])})


def test_bounds_are_inclusive_and_reasons_in_order() -> None:
    n = 4
    table = {
        "id": [str(i) for i in range(n)],
        "n_words": [0, 5, 6, 4],
        "keep": [True] * n,
        "reason": [None] * n,
        "pii": [[]] * n,
        "language": ["de", "en", "en", "en"],
    }
    rules = filters.resolve({"n_words": {"min": 5, "max": 5}, "language": {"in": ["en"]}}, {}, {}, 0, 0)
    frame = pl.DataFrame(table, schema_overrides={"reason": pl.String, "pii": pl.List(pl.Struct({"kind": pl.String}))})
    assert frame.select(r=filters.reason(rules))["r"].to_list() == ["empty", None, "n_words_max", "n_words_min"]


def test_no_near_duplicate_of_a_validation_document_in_training(tmp_path: Path) -> None:
    texts = prose(300)
    near = [text.replace("committee", "board", 1) for text in texts[:150]]
    sources = {
        "a": raw(tmp_path, "a", texts[:200] + near[:50]),
        "b": raw(tmp_path, "b", near[50:] + texts[200:] + texts[:20]),
    }
    cleaned, _ = process(tmp_path, sources, validation_fraction=0.3)
    kept = pl.concat([parquet.read_all(path, ["text", "split", "cluster"]) for path in cleaned.values()])

    def shingles(text: str) -> set:
        words = text.lower().split()
        return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}

    train, validation = (
        [shingles(text) for text in kept.filter(pl.col("split") == split)["text"]] for split in ("train", "validation")
    )
    assert len(validation) > 50
    assert all(len(a & b) / len(a | b) < 0.8 for a in train for b in validation)
    assert kept["cluster"].is_unique().all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=8), unique=True, max_size=60), st.floats(0, 0.99), st.integers(0, 10))
def test_a_document_keeps_its_side(clusters: list[str], fraction: float, seed: int) -> None:
    rules = filters.resolve({}, {}, {}, fraction, seed)
    limit = subject.split_limit([clusters[:5], clusters[5:]], rules)
    together = subject.splits(clusters, limit, rules)
    assert limit == subject.split_limit([clusters[::-1]], rules)
    if len(clusters) >= subject.FALLBACK and fraction:
        assert "validation" in together
    alone = [subject.splits([cluster], subject.split_limit([[cluster]], rules), rules)[0] for cluster in clusters]
    moved = [a for a, b in zip(alone, together, strict=True) if a != b]
    assert moved in ([], ["train"])  # at most the one that a source must have for validation


def test_clean_shards_links_and_counts(tmp_path: Path) -> None:
    sources = {
        "a": raw(tmp_path, "a", prose(30)),
        "b": raw(tmp_path, "b", [*prose(30, seed=1), "short"], domain="books"),
    }
    cleaned, metrics = process(tmp_path, sources)
    (cleaned["a"] / "manifest.json").write_text("{}")
    target = tmp_path / "together"
    target.mkdir()
    without = list(map(dropped_of, cleaned.values()))
    totals = clean_shards.main(list(sources.values()), list(cleaned.values()), without, target)
    assert (target / "a" / "manifest.json").read_text() == "{}"
    assert (target / "a" / "part-00000.parquet").samefile(cleaned["a"] / "part-00000.parquet")
    assert totals["domains"]["books"] == {"documents": 30, "bytes": metrics["b"]["bytes_out"]}
    assert totals["dropped"] == {"n_words_min": 1}
    assert sum(split["documents"] for split in totals["splits"].values()) == 60


def test_no_validation_document_is_an_error(tmp_path: Path) -> None:
    sources = {"a": raw(tmp_path, "a", prose(3))}
    cleaned, _ = process(tmp_path, sources, validation_fraction=0)
    without = list(map(dropped_of, cleaned.values()))
    (tmp_path / "together").mkdir()
    with pytest.raises(InputError, match="none of the 3 clean documents is for validation"):
        clean_shards.main(list(sources.values()), list(cleaned.values()), without, tmp_path / "together")


def test_link_falls_back_to_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "from" / "deep").mkdir(parents=True)
    (tmp_path / "from" / "deep" / "file").write_text("x")

    def refuse(*args: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    link_tree.link_trees([tmp_path / "from"], tmp_path / "to")
    assert (tmp_path / "to" / "from" / "deep" / "file").read_text() == "x"
    with pytest.raises(InputError, match="from"):
        link_tree.link_trees([tmp_path / "from", tmp_path / "from"], tmp_path / "again")


def test_the_same_bytes_again(tmp_path: Path) -> None:
    texts = [*prose(50), *EDGES]
    runs = []
    for run in ("one", "two"):
        path = raw(tmp_path / run, "s", texts, per_part=20)
        process(tmp_path / run, {"s": path})
        files = sorted(file for file in (tmp_path / run).rglob("*.parquet"))
        runs.append(
            [(file.relative_to(tmp_path / run), hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]
        )
    assert runs[0] == runs[1]


def test_bad_shards(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no part"):
        annotate.main(tmp_path, tmp_path)
    (tmp_path / "part-00000.parquet").write_bytes(b"not parquet")
    with pytest.raises(InputError, match="part-00000"):
        annotate.main(tmp_path, tmp_path)
    pl.DataFrame({"id": ["a"]}).write_parquet(tmp_path / "part-00000.parquet")
    with pytest.raises(InputError, match="column"):
        annotate.main(tmp_path, tmp_path)


def test_a_name_beside_another_kind_is_hidden_where_it_lies_outside() -> None:
    text = "Jane Doe <jane@example.org> and +44 20 7946 0958 Ann"

    def span(kind: str, words: str) -> dict:
        return {"kind": kind, "start": text.index(words), "end": text.index(words) + len(words)}

    found = [span("email", "jane@example.org"), span("phone", "+44 20 7946 0958")]
    names = [span("name", "Jane Doe <jane"), span("name", "0958 Ann"), span("name", "example")]
    table = subject.united(pl.Series([found, [], found]), pl.Series([names, names[:1], None], dtype=subject.SPANS))
    spans = [subject.Span(**one) for one in table[0]]
    assert subject.redact(text, spans) == "<name><email>> and <phone><name>"
    assert table[1].to_list() == names[:1] and table[2].to_list() == found
