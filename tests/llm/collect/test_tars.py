"""Tars whose headers lie: each ends in one line, in little memory and time, and nothing is lost in silence."""

import gzip
import io
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from llm.collect.archive import open_archive
from llm.collect.listing import LONGEST
from llm.collect.tars import HEADERS, RECORDS
from llm.errors import InputError

END = bytes(1024)


def header(name: bytes, size: int | bytes = 0, kind: bytes = b"0", more: bytes = b"", magic: bytes = b"") -> bytes:
    """A block. `size`: a number, or the bytes of its field; `more`: what stands at 386, where GNU's holes are told."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108] = b"0000644\0"
    block[124:136] = size if isinstance(size, bytes) else b"%011o\0" % size
    block[148:157] = b" " * 8 + kind
    block[257:265] = magic or b"ustar\00000"
    block[386 : 386 + len(more)] = more
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def member(name: bytes, data: bytes, kind: bytes = b"0") -> bytes:
    return header(name, len(data), kind) + data + bytes(-len(data) % 512)


def binary(number: int) -> bytes:
    """A size in base 256, which may be negative and is never too large."""
    return (b"\x80" if number >= 0 else b"\xff") + (number % 256**11).to_bytes(11, "big")


def record(key: bytes, value: bytes) -> bytes:
    rest = b" %s=%s\n" % (key, value)
    size = len(rest) + len(str(len(rest) + len(str(len(rest)))))
    return b"%d%s" % (size, rest)


def pax(data: bytes, kind: bytes = b"x") -> bytes:
    return member(b"PaxHeader", data, kind)


OK = member(b"ok.txt", b"fine")
HOLES = b"".join(record(b"GNU.sparse." + key, value) for key, value in {
    b"major": b"1", b"minor": b"0", b"name": b"s.txt", b"realsize": b"5"
}.items())  # fmt: skip


def contents(path: Path) -> dict[str, bytes]:
    with open_archive(path, label="it") as archive:
        return {name: archive.read(name) for name in archive.names}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (OK + header(b"b.txt", binary(-512)), "a member of -512 bytes"),
        (OK + pax(record(b"size", b"-512")) + member(b"b.txt", b"b"), "a member of -512 bytes"),
        (OK + header(b"L", binary(2**40), b"L"), "headers of a member have more than"),
        (OK + header(b"L", binary(2**80), b"L"), "headers of a member have more than"),
        (OK + header(b"L", binary(2**40), b"x"), "headers of a member have more than"),
        (OK + pax(b"9" * 23 + b" a=b\n") + member(b"b.txt", b"b"), "truncated or damaged"),
        (OK + header(b"b.txt", binary(2**80)), "decompression bomb"),
        (OK + pax(record(b"size", b"9" * 30)) + member(b"b.txt", b"b"), "decompression bomb"),
        (OK + pax(record(b"path", b"a" * 10_000)) + member(b"b.txt", b"b"), "a member's name has 10,000 characters"),
        (OK + END + member(b"second.txt", b"b"), "another tar follows its end"),
        (OK + pax(record(b"path", b"q.txt")) * 2_000 + member(b"b.txt", b"b"), "truncated or damaged"),
        (OK + member(b"b.txt", b"b", b"M"), "of the unknown kind 'M'"),
    ],
)  # fmt: skip
def test_a_header_that_lies_is_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.tar").write_bytes(data + END)
    with pytest.raises(InputError, match=message) as caught:
        contents(tmp_path / "a.tar")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "data",
    [
        header(b"L", 100 << 20, b"L") + b"a" * (100 << 20),
        pax(b"".join(record(b"%x" % number, b"") for number in range(1_000_000))),
        pax(HOLES) + member(b"x", b"9000000\n" + b"0\n0\n" * 9_000_000),
        pax(b"".join(record(b"%x" % number, b"") for number in range(RECORDS + 1)), b"g") + OK * 20_000,
    ],
    ids=["a name", "records", "holes", "records for all"],
)
def test_headers_take_little_memory(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(data + OK + END, 1))
    tracemalloc.start()
    with pytest.raises(InputError, match="truncated or damaged archive"):
        contents(tmp_path / "a.tar.gz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * HEADERS


def test_of_two_members_of_one_name_the_last_is_read_and_the_first_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(member(b"a.txt", b"first") + member(b"./a.txt", b"second") + OK + END)
    with open_archive(tmp_path / "a.tar", label="it") as archive:
        assert (archive.names, list(archive.twice)) == (["a.txt", "ok.txt"], ["a.txt"])
        assert archive.read("a.txt") == b"second"


def test_labels_garbage_behind_the_end_and_long_names_are_survived(tmp_path: Path) -> None:
    name = b"d/" * (LONGEST // 2 - 4) + b"a.txt"
    data = header(b"Volume", kind=b"V", magic=b"ustar  \0") + member(b"dir/", b"Ya\0\0", b"D")
    data += pax(record(b"path", name)) + member(b"a.txt", b"deep") + OK + END + b"garbage" * 99
    (tmp_path / "a.tar").write_bytes(data)
    assert contents(tmp_path / "a.tar") == {name.decode(): b"deep", "ok.txt": b"fine"}


def test_files_with_holes(tmp_path: Path) -> None:
    old = b"%011o\0" % 3 + b"%011o\0" % 5 + bytes(72) + b"\0" + b"%011o\0" % 20
    data = header(b"old.txt", 512, b"S", old, b"ustar  \0") + b"abcde" + bytes(507)
    body = b"1\n2\n3\n".ljust(512, b"\0") + b"xyz".ljust(512, b"\0")
    (tmp_path / "a.tar").write_bytes(data + pax(HOLES) + member(b"x", body) + OK + END)
    found = contents(tmp_path / "a.tar")
    assert found == {"old.txt": b"\0\0\0abcde".ljust(20, b"\0"), "s.txt": b"\0\0xyz", "ok.txt": b"fine"}


def test_a_whole_tar_is_listed_as_tarfile_lists_it(tmp_path: Path) -> None:
    for format in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / "a.tar", "w", format=format) as tar:
            for name, data in {"a/b.txt": b"1" * 700, "ü" * 40 + ".txt": b"", "c" * 90 + ".txt": b"3"}.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        with tarfile.open(tmp_path / "a.tar") as tar:
            expected = {info.name: tar.extractfile(info).read() for info in tar}
        assert contents(tmp_path / "a.tar") == expected
