"""Zips whose directory lies, and all methods of packing."""

import bz2
import io
import lzma
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest

from llm.collect import zips
from llm.collect.archive import open_archive
from llm.errors import InputError

TEXT = b"some text of a member. " * 4_000


def made(*members: tuple[bytes, bytes, bytes, int, dict]) -> bytes:
    """A zip of (name, data, packed, method, what its headers say otherwise)."""
    out, directory = b"", b""
    for name, data, packed, method, says in members:
        crc, size = says.get("crc", zlib.crc32(data)), says.get("size", len(data))
        rest = struct.pack("<HHHIIIH", method, 0, 0, crc, len(packed), size, len(name))
        directory += b"PK\x01\x02" + struct.pack("<HHH", 0x314, 63, 0) + rest
        directory += struct.pack("<HHHHII", 0, 0, 0, 0, 0o100644 << 16, len(out)) + name
        out += b"PK\x03\x04" + struct.pack("<HH", 63, 0) + rest + struct.pack("<H", 0) + name + packed
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(out), 0)
    return out + directory + b"PK\x05\x06" + end


def lzma_packed(data: bytes, dictionary: int = 1 << 16) -> bytes:
    packer = lzma.LZMACompressor(lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16}])
    return struct.pack("<BBHBI", 9, 4, 5, 0x5D, dictionary) + packer.compress(data) + packer.flush()


# its local header says that 7,000 bytes are its name
LONG_NAME = made((b"a.txt", TEXT, TEXT, 0, {})).replace(struct.pack("<HH", 5, 0), struct.pack("<HH", 7_000, 0), 1)


def contents(path: Path) -> dict[str, bytes]:
    with open_archive(path, label="it") as archive:
        return {name: archive.read(name) for name in archive.names}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_method_that_python_packs(tmp_path: Path, method: int) -> None:
    files = {"a.txt": TEXT, "b/empty.txt": b"", "c.txt.gz": TEXT, "d.txt": bytes(range(256)) * 999}
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    assert contents(tmp_path / "a.zip") == files


def test_packed_members_of_members_are_unpacked_too(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(made((b"a.txt.bz2", (data := bz2.compress(TEXT)), bz2.compress(data), 12, {})))
    assert contents(tmp_path / "a.zip") == {"a.txt.bz2": TEXT}


def bomb(method: int) -> bytes:
    """What gives 300 MB."""
    packer = bz2.BZ2Compressor(9) if method == zipfile.ZIP_BZIP2 else None
    zeros = bytes(1 << 20)
    if packer:
        return b"".join([*(packer.compress(zeros) for _ in range(300)), packer.flush()])
    return lzma_packed(zeros * 300)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("size", [100, 200 << 20])
def test_no_more_is_unpacked_than_is_read(tmp_path: Path, method: int, size: int) -> None:
    """Two kilobytes, whose directory says 100 bytes, gave all their gigabytes at once."""
    (tmp_path / "a.zip").write_bytes(made((b"a.txt", b"", bomb(method), method, {"size": size})))
    tracemalloc.start()
    with open_archive(tmp_path / "a.zip", label="it") as archive, archive.open_raw("a.txt") as file:
        if size == 100:
            with pytest.raises(zipfile.BadZipFile, match="bad CRC-32"):
                file.read(1 << 20)
        else:
            assert file.read(1 << 20).strip(b"\0") == b""
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (made((b"a.txt", TEXT, bz2.compress(TEXT), 12, {"size": len(TEXT) + 1})), "ends too early"),
        (made((b"a.txt", TEXT, bz2.compress(TEXT)[:-20], 12, {})), "ends too early|bad CRC"),
        (made((b"a.txt", TEXT, bz2.compress(TEXT), 12, {"crc": 5})), "bad CRC-32"),
        (made((b"a.txt", TEXT, lzma_packed(TEXT), 14, {"size": 50})), "bad CRC-32"),
        (made((b"a.txt", TEXT, lzma_packed(TEXT)[:7], 14, {})), "truncated or damaged"),
        (made((b"a.txt", TEXT, b"\xff" * 99, 14, {})), "truncated or damaged"),
        (made((b"a.txt", TEXT, TEXT, 9, {})), "packed by the method deflate64, which nothing here reads"),
        (made((b"a.txt", TEXT, TEXT, 93, {})), "packed by the method 93, which nothing here reads"),
        (made((b"d/" * 30_000 + b"a.txt", b"", b"", 0, {})), "a member's name has 60,005 characters"),
        (made((b"../" * 20_000, b"", b"", 0, {}), (b"../" * 20_000 + b"a", b"", b"", 0, {})), "60,001 characters"),
        (made((b"a.txt", TEXT, TEXT, 12, {})), "truncated or damaged"),
        (LONG_NAME, "File name in directory 'a.txt' and header b'a.txtsome text"),
    ],
)  # fmt: skip
def test_a_directory_that_lies_is_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        contents(tmp_path / "a.zip")
    assert len(str(caught.value)) < 400


def test_a_dictionary_larger_than_its_member_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.zip").write_bytes(made((b"a.txt", TEXT, lzma_packed(TEXT, 0xFFFF_FFFF), 14, {})))
    assert contents(tmp_path / "a.zip") == {"a.txt": TEXT}
    monkeypatch.setattr(zips, "WINDOW", 1 << 16)
    with pytest.raises(InputError, match="a dictionary of 4,294,967,295 bytes"):
        contents(tmp_path / "a.zip")


def test_of_two_members_of_one_name_the_last_is_read_and_the_first_is_told(tmp_path: Path) -> None:
    data = made(*((name, name, name, 0, {}) for name in (b"x/a.txt", b"x//./a.txt", b"", b"b.txt", b"d/")))
    (tmp_path / "a.zip").write_bytes(data)
    with open_archive(tmp_path / "a.zip", label="it") as archive:
        assert (archive.names, list(archive.twice)) == (["", "b.txt", "x/a.txt"], ["x/a.txt"])
        assert archive.read("x/a.txt") == b"x//./a.txt"


def test_entries_that_share_their_bytes_are_a_bomb(tmp_path: Path) -> None:
    packed = zlib.compress(bytes(1 << 20))[2:-4]
    data = made((b"00000.txt", bytes(1 << 20), packed, 8, {}))
    begin, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entries = b"".join(data[begin:end].replace(b"00000", b"%05d" % number) for number in range(400))
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 400, 400, len(entries), begin, 0)
    (tmp_path / "a.zip").write_bytes(data[:begin] + entries + tail)
    with pytest.raises(InputError, match="decompression bomb"), open_archive(tmp_path / "a.zip", label="it"):
        pass
    with io.BytesIO(data[:begin] + entries + tail) as file:
        assert len(zipfile.ZipFile(file).namelist()) == 400
