"""What `clean` joins: scores, contamination, names. No document is lost on the way, whatever the tables say."""

from pathlib import Path

import polars as pl
import pytest

from llm.errors import InputError
from llm.io import parquet
from llm.process.dedup import substrings
from llm.process.settings.clean import CleanSettings
from scripts.process import annotate, clean, clean_shards
from tests.llm.process.corpus.test_clean import OPTIONS, prose, raw
from tests.llm.process.dedup.dedup_jobs import deduplicated

PER_PART = 4


@pytest.fixture
def known(tmp_path: Path) -> dict[str, Path]:
    """Ten documents of source s in three shards, annotated and compared: the inputs of `clean`."""
    paths = {name: tmp_path / name for name in ("annotations", "shards", "dropped", "scores", "names", "substrings")}
    for path in paths.values():
        path.mkdir()
    texts = prose(10)
    texts[3] += " Ask Jane Roe at jane.roe@example.com."
    paths["documents"] = raw(tmp_path, "s", texts, per_part=PER_PART)
    paths["duplicates"] = tmp_path / "jobs/duplicates-0.parquet"
    paths["contamination"] = tmp_path / "contamination.parquet"
    annotate.main(paths["documents"], paths["annotations"])
    deduplicated(tmp_path / "jobs", [paths["documents"]])
    return paths


def write_parts(directory: Path, table: pl.DataFrame) -> None:
    for i in range(0, len(table), PER_PART):
        parquet.write(table[i : i + PER_PART], directory / f"part-{i // PER_PART:05d}.parquet")


IDS = [f"s/{i:08d}" for i in range(10)]


def run(known: dict[str, Path], *optional: str, **options: object) -> dict:
    names = ("documents", "annotations", "duplicates", "shards", "dropped", *optional)
    return clean.main(**{name: known[name] for name in names}, settings=CleanSettings(**OPTIONS | options))


def test_thresholds_on_scores_and_contamination(known: dict[str, Path]) -> None:
    scores = pl.DataFrame(
        {
            "id": IDS,
            "perplexity": [None, 900.0, *[50.0] * 8],
            "quality": [None, 0.5, 0.1, *[0.9] * 7],
            "toxicity": [None, 0.0, 0.0, 0.9, *[0.2] * 6],
        }
    )
    write_parts(known["scores"], scores)
    share = pl.DataFrame({"id": IDS, "contamination": [0.0, 0.0, 0.0, 0.0, 0.01, *[0.0] * 5]})
    parquet.write(share, known["contamination"])
    bounds = {
        "perplexity": {"max": 500},
        "quality": {"min": 0.2},
        "toxicity": {"max": 0.5},
        "contamination": {"max": 0},
    }
    metrics = run(known, "scores", "contamination", thresholds=bounds)
    reasons = dict.fromkeys(["contamination_max", "perplexity_max", "quality_min", "toxicity_max"], 1)
    assert metrics["dropped"] == reasons
    kept = parquet.read_all(known["shards"], ["id", "quality"])
    assert kept.rows() == [(IDS[0], None), *((name, 0.9) for name in IDS[5:])]  # what has no score is not filtered


def test_without_scores_their_thresholds_filter_nothing(known: dict[str, Path]) -> None:
    metrics = run(known, thresholds={"quality": {"min": 0.99}, "contamination": {"max": 0}})
    assert metrics["documents_out"] == 10
    assert parquet.read_all(known["shards"], ["quality"])["quality"].null_count() == 10


def test_names_join_the_other_spans(known: dict[str, Path]) -> None:
    text = parquet.read_all(known["documents"], ["text"])["text"][3]
    name, email = text.index("Jane Roe"), text.index("jane.roe")
    spans = [{"kind": "name", "start": name, "end": name + 8}, {"kind": "name", "start": email, "end": email + 8}]
    rows = [spans if i == 3 else None if i == 5 else [] for i in range(10)]
    type_ = pl.List(pl.Struct({"kind": pl.String, "start": pl.UInt32, "end": pl.UInt32}))
    write_parts(known["names"], pl.DataFrame({"id": IDS, "names": pl.Series(rows, dtype=type_)}))
    metrics = run(known, "names", pii={"email": "redact", "name": "redact"})
    assert metrics["redacted"] == {"email": 1, "name": 1}  # of two that overlap one is left
    kept = parquet.read_all(known["shards"], ["text", "n_bytes"])
    assert kept["text"][3].endswith(" Ask <name> at <email>.")
    assert kept["n_bytes"].equals(kept["text"].str.len_bytes().cast(pl.Int64))
    assert metrics["bytes_in"] == metrics["bytes_out"] + metrics["redacted_bytes"] + sum(
        metrics["dropped_bytes"].values()
    )
    assert run(known, "names", pii={"name": "drop"})["dropped"] == {"pii_name": 1}


def test_what_stands_elsewhere_is_cut_beside_redaction(known: dict[str, Path]) -> None:
    """Spans of both kinds are of the collected text; the bytes of every edit are accounted for."""
    text = parquet.read_all(known["documents"], ["text"])["text"][3]
    name, email = text.index("Ask Jane"), text.index("jane.roe")
    rows: list[list[tuple[int, int]]] = [[] for _ in IDS]
    rows[3], rows[5] = [(4, 11), (name, email + 4)], [(0, 20)]
    spans = pl.Series([[{"start": a, "end": b} for a, b in own] for own in rows], dtype=substrings.SPANS)
    write_parts(known["substrings"], pl.DataFrame({"id": IDS, "spans": spans}))
    metrics = run(known, "substrings", pii={"email": "redact"})
    kept = parquet.read_all(known["shards"], ["text", "n_bytes"])
    assert kept["text"][3] == text[:4] + text[11:name] + "<email>."
    assert kept["text"][5] == parquet.read_all(known["documents"], ["text"])["text"][5][20:]
    assert kept["n_bytes"].equals(kept["text"].str.len_bytes().cast(pl.Int64))
    assert (metrics["cuts"], metrics["cut_bytes"]) == (3, 7 + (email - name) + 20)
    assert metrics["redacted_bytes"] == len("jane.roe@example.com") - len("<email>")
    assert metrics["bytes_in"] == metrics["bytes_out"] + metrics["redacted_bytes"] + metrics["cut_bytes"] + sum(
        metrics["dropped_bytes"].values()
    )


@pytest.mark.parametrize("table", ["annotations", "duplicates", "scores", "contamination", "names", "substrings"])
def test_tables_of_other_documents(known: dict[str, Path], table: str) -> None:
    ids = [*IDS[:5], "s/x", *IDS[6:]]
    columns = {
        "annotations": {"language": "en", "n_words": 9, "pii": [[]] * 10},
        "duplicates": {"cluster": "c", "keep": True, "reason": "near"},
        "scores": dict.fromkeys(("perplexity", "quality", "toxicity"), 0.5),
        "contamination": {"contamination": 0.0},
        "names": {"names": [[]] * 10},
        "substrings": {"spans": [[]] * 10},
    }
    frame = pl.DataFrame({"id": ids, **columns[table]})
    if known[table].is_dir():
        write_parts(known[table], frame)
    else:
        parquet.write(frame, known[table])
    optional = () if table in ("annotations", "duplicates") else (table,)
    with pytest.raises(InputError, match=rf"{table} do not list the same documents as .*part-00001"):
        run(known, *optional, thresholds={})


def test_duplicates_of_more_documents(known: dict[str, Path]) -> None:
    table = pl.read_parquet(known["duplicates"])
    parquet.write(pl.concat([table, table[:1]]), known["duplicates"])
    with pytest.raises(InputError, match="lists 11 documents, the raw shards hold 10"):
        run(known)


@pytest.mark.parametrize("rows", [[0, 1, 2, 2], [0, 1, 3, 2]])
def test_an_id_that_comes_twice(known: dict[str, Path], rows: list[int]) -> None:
    first = known["documents"] / "part-00000.parquet"
    parquet.write(pl.read_parquet(first)[rows], first)
    with pytest.raises(InputError, match="part-00000.parquet: the id 's/00000002' does not follow"):
        run(known)
    second = known["documents"] / "part-00001.parquet"
    parquet.write(pl.read_parquet(second)[[0, 1, 2, 3]], first)
    with pytest.raises(InputError, match=r"do not list the same documents as .*part-00000"):
        run(known)


def test_empty_shards(known: dict[str, Path]) -> None:
    """Shards without documents, in the middle and at the end, are carried along."""
    for name in ("documents", "annotations"):
        parts = parquet.parts(known[name])
        parquet.write(pl.read_parquet(parts[0]).clear(), known[name] / "part-00000b.parquet")
        parquet.write(pl.read_parquet(parts[0]).clear(), known[name] / "part-00009.parquet")
    metrics = run(known)
    assert metrics["documents_in"] == metrics["documents_out"] == 10
    assert len(parquet.parts(known["shards"])) == len(parquet.parts(known["dropped"])) == 5
    (known["shards"].parent / "all").mkdir()
    totals = clean_shards.main(
        [known["documents"]], [known["shards"]], [known["dropped"]], known["shards"].parent / "all"
    )
    assert totals["documents_in"] == totals["documents_out"] == 10


def test_documents_lost_between_raw_and_clean_are_an_error_that_names_the_source(
    known: dict[str, Path], tmp_path: Path
) -> None:
    run(known)
    lost = known["shards"] / "part-00001.parquet"
    parquet.write(pl.read_parquet(lost)[1:], lost)
    with pytest.raises(InputError, match="source shards: 10 raw documents, but 9 clean and 0 dropped by name"):
        (tmp_path / "all").mkdir()
        clean_shards.main([known["documents"]], [known["shards"]], [known["dropped"]], tmp_path / "all")


def test_the_second_pass_reads_one_shard_at_a_time(known: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """No text of another shard is in memory: a shard is read when the one before it has been written."""
    events: list[tuple[str, str]] = []
    read, write = clean.read, clean.write
    monkeypatch.setattr(
        clean, "read", lambda path, columns: (events.append(("read", path.name)), read(path, columns))[1]
    )
    monkeypatch.setattr(
        clean, "write", lambda frame, path: (events.append(("write", path.name)), write(frame, path))[1]
    )
    run(known)
    names = [f"part-0000{i}.parquet" for i in range(3)]
    expected = [(what, name) for name in names for what in ("read", "write", "write")]  # what stays, what does not
    assert [event for event in events if event[1].startswith("part")] == expected
