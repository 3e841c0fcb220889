"""Labelled examples: what is read of a CSV in an archive, and what is a clear error."""

import io
import tarfile
from pathlib import Path

import polars as pl
import pytest

from llm.errors import InputError
from llm.process.quality import classifier, labelled_csv, toxicity
from llm.process.settings.toxicity_model import ToxicitySettings
from scripts.process.toxicity_model import main as toxicity_model

OPTIONS = {"source": "mine", "file": "a.csv", "include": [], "text": "text", "label": "label"}
ROWS = 'label,text\n1,"you are\nawful, ""really"""\n0,have a nice day\n0,\n1,Überübel 日本\n'


def read(archive: Path, limit: int = 1 << 20, **options) -> list[tuple[str, int]]:
    found = labelled_csv.read(archive, limit=limit, **OPTIONS | options)
    return [(text, label) for label, frame in found for text in frame["text"]]


def test_reads_rows_of_a_file_and_of_an_archive(tmp_path: Path) -> None:
    expected = [("have a nice day", 0), ('you are\nawful, "really"', 1), ("Überübel 日本", 1)]
    (tmp_path / "a.csv").write_text(ROWS)
    assert read(tmp_path / "a.csv") == expected
    (tmp_path / "a.csv").write_text(ROWS, encoding="utf-8-sig")  # as spreadsheets write it
    assert read(tmp_path / "a.csv", text="text", label="label") == expected
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for name, data in (("x/data.csv", ROWS.encode()), ("x/other.csv", b"nothing")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    assert read(tmp_path / "a.tar.gz", include=["**/data.csv"], file="a.tar.gz") == expected


def test_takes_so_many_bytes_of_each_label(tmp_path: Path) -> None:
    rows = [f"{i % 2},text number {i}" for i in range(100)]
    (tmp_path / "a.csv").write_text("\n".join(["label,text", *rows]))
    found = read(tmp_path / "a.csv", limit=100)
    for label in (0, 1):
        size = sum(len(text) for text, own in found if own == label)
        assert 100 <= size < 120


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (ROWS.encode(), {"text": "body"}, r"a.csv: no column 'body' \(there is: label, text\); see process.reference"),
        (ROWS.encode(), {"include": ["**/*.tsv"]}, "no member matches"),
        (b"label,text\n2,what\n", {}, "line 2: column 'label' is to be 0 or 1"),
        (b"label,text\n1\n", {}, None),
        (b"label,text\n1,\xff\xfe\n", {}, "not CSV in UTF-8"),
        (b"", {}, "is empty"),
        (b"\n", {}, "there is: nothing"),
    ],
)
def test_bad_files(tmp_path: Path, data: bytes, options: dict, message: str | None) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    if message is None:
        assert read(tmp_path / "a.csv", **options) == []
        return
    with pytest.raises(InputError, match=message):
        read(tmp_path / "a.csv", **options)


def test_toxicity_is_learned_from_them(tmp_path: Path) -> None:
    said = ("thank you", "you idiot")
    rows = [f"{i % 2},{said[i % 2]} number{chr(97 + i % 26)} {'x' * (i % 7)}" for i in range(400)]
    (tmp_path / "a.csv").write_text("\n".join(["label,text", *rows]))
    (tmp_path / "model").mkdir()
    meta = toxicity_model(
        tmp_path / "model", tmp_path / "a.csv", settings=ToxicitySettings(**OPTIONS, sample_bytes=1 << 20, seed=1)
    )
    assert meta["auc"] == 1.0
    assert meta["positive_documents"] + meta["negative_documents"] == 400
    model = toxicity.load(tmp_path / "model")
    assert model is not None
    clean, spoilt = "thank you very much " * 200, "thank you very much " * 100 + "idiot " * 64 + "thank you " * 200
    words, borders, _, _ = labelled_words([clean, spoilt])
    judged = toxicity.judge(model, words, borders)
    assert judged[0, 1] < 0.5 < judged[1, 1], "one passage is enough"
    assert judged[1, 0] < 0.5


def labelled_words(texts: list[str]):
    return classifier.hashed(pl.Series(texts))


def test_without_an_archive_nothing_is_trained(tmp_path: Path) -> None:
    assert toxicity_model(tmp_path, settings=ToxicitySettings(**OPTIONS, sample_bytes=1000, seed=1)) == {
        "window": 64,
        "trained": False,
    }
