"""The writer of raw documents: what it writes is read back, what can be no document is counted, bytes are stable."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.collect.documents import Document, Report, Writer, normalised, unusable
from tests.llm.collect.read_shards import read_documents


def write(directory: Path, documents: list[Document], shard_bytes: int = 1 << 20) -> Writer:
    directory.mkdir()
    writer = Writer(directory, "tale", "books", "MIT", "pypi:tale==1", Report(), shard_bytes=shard_bytes)
    for document in documents:
        writer.add(document)
    writer.flush()
    return writer


def test_a_document_as_it_is_written(tmp_path: Path) -> None:
    write(tmp_path / "raw", [Document("\ufeffOnce \r\nupon\n\n", "A\ntale", "a.txt#1")])
    (frame,) = read_documents(tmp_path / "raw")
    assert frame.to_dicts() == [
        {
            "id": "tale/00000000", "text": "Once\nupon", "title": "A tale", "url": "pypi:tale==1/a.txt#1",
            "source": "tale", "domain": "books", "license": "MIT",
            "sha256": hashlib.sha256(b"Once\nupon").hexdigest(),
        }
    ]  # fmt: skip


def test_an_address_is_one_line(tmp_path: Path) -> None:
    """Be it a member's name, what a row says, or a record's own; what is no end of a line stays as it is."""
    documents = [
        Document("a", None, "x\ny.txt"),
        Document("b", None, "t.jsonl#1 https://a.org/\u2028b\r\nc"),
        Document("c", None, "d.warc#1", url="https://a.org/\x1b[2Jé%0A b\x85"),
    ]
    write(tmp_path / "raw", documents)
    (frame,) = read_documents(tmp_path / "raw")
    assert frame["url"].to_list() == [
        "pypi:tale==1/x%0Ay.txt",
        "pypi:tale==1/t.jsonl#1 https://a.org/%E2%80%A8b%0D%0Ac",
        "https://a.org/%1B[2Jé%0A b%C2%85",
    ]


@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=12), st.integers(1, 60))
def test_round_trip_over_shards(tmp_path_factory: pytest.TempPathFactory, texts: list[str], shard_bytes: int) -> None:
    directory = tmp_path_factory.mktemp("writer") / "raw"
    writer = write(directory, [Document(text, None, "x") for text in texts], shard_bytes)
    kept = [text for text in map(normalised, texts) if not unusable(text) and len(text.encode()) <= shard_bytes]
    frames = list(read_documents(directory)) if kept else []
    assert [text for frame in frames for text in frame["text"]] == kept
    assert [row for frame in frames for row in frame["id"]] == [f"tale/{index:08d}" for index in range(len(kept))]
    assert all(sum(map(len, map(str.encode, frame["text"]))) <= shard_bytes for frame in frames)
    assert writer.metrics()["documents"] + sum(writer.report.skipped.values()) == len(texts)
    assert writer.metrics()["bytes"] == sum(len(text.encode()) for text in kept)


def test_unusable_texts_are_counted(tmp_path: Path) -> None:
    texts = ["", " \n\t", "nul\0", "lone \ud800 surrogate", "good"]
    metrics = write(tmp_path / "raw", [Document(text, None, "x") for text in texts]).metrics()
    assert (metrics["documents"], metrics["skipped"]) == (1, {"empty": 2, "nul": 1, "surrogate": 1})


def test_bytes_do_not_depend_on_threads(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from llm.collect.documents import *\n"
        "w = Writer(Path(sys.argv[1]), 's', 'd', 'l', 'o', Report())\n"
        "for i in range(20000): w.add(Document(f'document {i} ' * (i % 9 + 1), None, str(i)))\n"
        "w.flush()"
    )
    for threads in ("1", "4"):
        (tmp_path / threads).mkdir()
        environment = os.environ | {"POLARS_MAX_THREADS": threads, "PYTHONPATH": "."}
        subprocess.run([sys.executable, "-c", program, tmp_path / threads], check=True, env=environment)
    one, four = ((tmp_path / threads / "part-00000.parquet").read_bytes() for threads in ("1", "4"))
    assert one == four


def test_titles_and_addresses_of_any_size_are_not_kept_in_memory(tmp_path: Path) -> None:
    documents = [Document("text", "t" * 3_000, "x", url="u" * 3_000) for _ in range(8)]
    assert write(tmp_path / "raw", documents, shard_bytes=2_000).shards == 4
    assert [len(frame) for frame in read_documents(tmp_path / "raw")] == [2, 2, 2, 2]
