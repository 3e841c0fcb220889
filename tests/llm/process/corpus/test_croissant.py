"""The Croissant description of a directory of shards; that mlcroissant reads it, tests/test_readers.py shows."""

import json
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from llm.errors import InputError
from llm.process.corpus.croissant import address_of, describe
from stemma.store.artifact import manifest_of

ROW = {"id": "a/0", "text": "one", "source": "a", "domain": "web", "license": "MIT", "split": "train", "tokens": 1}


def shards(directory: Path, *frames: pl.DataFrame) -> Path:
    """A directory clean/ of one shard per frame, each of a source of its own, with its manifest."""
    clean = directory / "clean"
    for number, frame in enumerate(frames):
        (clean / f"source{number}").mkdir(parents=True)
        frame.write_parquet(clean / f"source{number}/part-00000.parquet")
        (clean / f"source{number}/notes.json").write_text("{}")
    (clean / "manifest.json").write_bytes(manifest_of(clean))
    return clean


def test_shards_fields_and_licences(tmp_path):
    frames = [pl.DataFrame([ROW]), pl.DataFrame([ROW | {"source": "b", "license": "LicenseRef-mine"}] * 2)]
    clean = shards(tmp_path, *frames)
    found = describe(clean)
    listed = {entry["path"]: entry for entry in json.loads((clean / "manifest.json").read_text())["files"]}
    files = [entry for entry in found["distribution"] if entry["@type"] == "cr:FileObject"]
    assert [entry["contentUrl"] for entry in files] == [f"clean/source{n}/part-00000.parquet" for n in (0, 1)]
    for entry in files:
        assert entry["sha256"] == listed[entry["name"]]["sha256"]
        assert (tmp_path / entry["contentUrl"]).stat().st_size == int(entry["contentSize"].removesuffix(" B"))
    documents, sources, *each = found["recordSet"]
    assert {field["name"]: field["dataType"] for field in documents["field"]} == {
        name: "sc:Integer" if name == "tokens" else "sc:Text" for name in ROW
    }
    assert [row["sources/documents"] for row in sources["data"]] == [1, 2]
    assert [one["@id"] for one in each] == ["source0/part-00000", "source1/part-00000"]
    assert found["license"] == ["LicenseRef-mine", "https://spdx.org/licenses/MIT"]
    assert found["description"].startswith("3 documents of 2 sources")


def test_types_of_columns(tmp_path):
    frame = pl.DataFrame([ROW | {"score": 0.5, "keep": True, "day": date(2026, 1, 1)}])
    fields = {field["name"]: field["dataType"] for field in describe(shards(tmp_path, frame))["recordSet"][0]["field"]}
    assert (fields["score"], fields["keep"], fields["day"]) == ("sc:Float", "sc:Boolean", "sc:Date")


def test_what_cannot_be_described_is_named(tmp_path):
    with pytest.raises(InputError, match="column extra: Croissant has no type for List"):
        describe(shards(tmp_path / "a", pl.DataFrame([ROW | {"extra": [1]}])))
    with pytest.raises(InputError, match=r"source1/part-00000.parquet: other columns than source0"):
        describe(shards(tmp_path / "b", pl.DataFrame([ROW]), pl.DataFrame([ROW | {"more": 1}])))
    with pytest.raises(InputError, match=r"lists no \*/part-"):
        (tmp_path / "c/clean").mkdir(parents=True)
        describe(shards(tmp_path / "c"))


def test_addresses_of_licences():
    assert address_of("CC-BY-SA-4.0") == "https://spdx.org/licenses/CC-BY-SA-4.0"
    assert address_of("LicenseRef-x") == "LicenseRef-x"
