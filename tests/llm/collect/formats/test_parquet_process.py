"""Damaged parquet files cost themselves, whatever they do to the process that reads them."""

import base64
import io
import zlib
from pathlib import Path

import polars as pl
import pytest

from llm.collect.archive import Archive
from llm.collect.decompress import LIMITS
from llm.collect.documents import Report
from llm.collect.formats import parquet_process, tabular
from llm.collect.formats.parquet_process import BrokenFileError, Reader, address_space, batches

# Of two random bytes each. polars 2.1.0 is aborted by the first, for an allocation, and panics over the second.
ABORTS = (
    "eNp9Uj9v00AUf3ZOUaRGUKQ+K448WEK1GhEV55LUcdXlWgKpCOBYqsrqxHYTSOsqdtO0fIGqUvcODIgVln4JRqR2QPkkjIS7gwGWvuF3er9/J53OY34NCd4p"
    "mHXxAQLAaGuJY5ocRmYWzTLTXqIPAWobHKiAuoAGh63m/8YNBPypoF/FBcFlzGMe4EOW4545UXKvLr6Vb98+Lr9/Nrgafn101fx887zx4xfCOwTy5QaLehPyy3qJ"
    "iC5UtTnRLol2oVrXyqIAuqFdKzjTeBmqerVDJknCXYDFVfVPZBW6Bld5Tjd0w/qUM+6rtAqgfVdRA8HMiVXg9Arwa0pF5vtv9jfTwTA6DEofladiqM34tAW0pnyf"
    "9f7uknrJWMp25NljTzyun54Kfpexg399Ehyhn0ldii+YlPaYCG/vsm15tkUfH+ljzDvnoVZbSmLv+OOo02NQeu0l42CSmmvHZ9kwOaqY02iSjpIjk67X1m1zrX8y"
    "GoemE7s27Yf1OA6pE8ctGtYa1GkFthtQtxnHNHaCKHRpRTfEG/YVAI//i99tRoE2"
)
PANICS = (
    "eNp9Uk1L40AYfpMORbC4Cr6hkRwCYlEUTce2acXLqHUrfqUB0WtqElutjTRRq/sHZMG7Bw/idb34J/YouIelv8SjODN60Ivv4Rne52tgGIe5eST4T8FkA4cQAFqL"
    "gxzj6Dgwk6CXmNYg/QGQL3GgAuYFFDgsFr8aSwj4oqA7g32Cw5jGNMCvJMU9faKkNq/+jj3vjY8drexfNx9Grov3j6uF/68IhwjkzyNm9CKkh/UsEV2oan2i/Sba"
    "lZq7UXIDoBvajYI9jZehqs/USDeKuAswM6G+RyZgw+Aqz+mGbuTuUsa3lSOgPamogWD6JDfA6VHg12QzzHW3dxfi/WZw7GVvlTkx1GJ8qgLKZ3zv1T92Sa0zFrNl"
    "edbZtMP183PBrzF28NknwRb6hdSl+JNJaYeJ8NIaW5JnVfTxkT7GnEseKlelJPaa2w5qdQbZLSdqe93YnDy5SJpRZ8o8C7pxK+qYdDY/a5mTjdNW2zftsGLRhj8f"
    "hj61w7BM/XyB2mXPqni0UgxDGtpe4FfolG6IN2woAA7/F2/zY4A/"
)


def damaged(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


def whole(texts: list[str]) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame({"text": texts}).write_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("data", [damaged(ABORTS), damaged(PANICS), b"", b"PAR1" + bytes(99) + b"PAR1"])
def test_a_damaged_file_is_counted_and_the_others_stay(data: bytes) -> None:
    files = {"a.parquet": whole(["one"]), "b.parquet": data, "c.parquet": whole(["two"])}
    archive = Archive("it", sorted(files), [], lambda name: io.BytesIO(files[name]), LIMITS)
    report = Report()
    found = list(tabular.parquet(archive, archive.names, report, column="text"))
    assert [document.text for document in found] == ["one", "two"]
    assert report.skipped == {"broken parquet": 1}
    assert report.problem.startswith("it: b.parquet: not a readable parquet file (")


def test_a_reader_that_is_killed_is_followed_by_another(tmp_path: Path) -> None:
    file, rows = tmp_path / "a.parquet", tmp_path / "rows"
    with Reader() as reader:
        for data, texts in ((damaged(PANICS), None), (whole(["x"] * 5_000), ["x"] * 5_000)):
            file.write_bytes(data)
            rows.write_bytes(b"")
            if texts is None:
                with pytest.raises(BrokenFileError, match="kills the reader"):
                    reader.copy(file, rows, ["text"])
                continue
            assert reader.copy(file, rows, ["text", "title"]) == ["text"]
            assert [text for batch in batches(rows) for text in batch["text"]] == texts
        process = reader.process
    assert process.returncode is not None


def test_more_memory_than_there_is_room_for_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file whose one text is 512 MB, in a process that may have 256 more than it begins with."""
    assert address_space() > 1 << 20
    file = tmp_path / "a.parquet"
    pl.DataFrame({"text": ["x" * (1 << 29)]}).write_parquet(file)
    assert file.stat().st_size < 1 << 20
    program = tmp_path / "little.py"
    module = parquet_process.__name__
    program.write_text(f"import {module} as reader\nreader.MEMORY = 1 << 28\nreader.serve()\n")
    monkeypatch.setattr(parquet_process, "PROGRAM", (str(program),))
    with Reader() as reader, pytest.raises(BrokenFileError, match="kills the reader"):
        reader.copy(file, tmp_path / "rows", ["text"])
