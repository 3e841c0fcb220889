"""Packed streams: all of them are read, a damaged one hides no other, and bombs within bombs count as one."""

import bz2
import gzip
import lzma
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from llm.collect.archive import open_archive
from llm.collect.decompress import LIMITS, Account, compression
from llm.collect.extract import collect
from llm.errors import InputError
from tests.llm.collect.test_archive import tar_bytes
from tests.llm.collect.test_extract import RECIPE

PACKS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


def read(path: Path, data: bytes) -> bytes:
    path.write_bytes(data)
    with open_archive(path, label="it") as archive:
        return archive.read(archive.names[0])


@pytest.mark.parametrize("kind", PACKS)
def test_streams_one_after_the_other_with_zeros_between(tmp_path: Path, kind: str) -> None:
    pack, path = PACKS[kind], tmp_path / "a"
    whole = b"".join(pack(part) + bytes(8) * (kind != "gz") for part in (b"one ", b"", b"two " * 99_999, b"three"))
    assert read(path, whole) == b"one " + b"two " * 99_999 + b"three"
    assert read(path, pack(b"alone") + bytes(1000)) == b"alone"
    assert read(path, pack(b"") * 3_000 + pack(b"last")) == b"last"


@pytest.mark.parametrize("kind", PACKS)
def test_a_damaged_head_hides_no_stream(tmp_path: Path, kind: str) -> None:
    """Python's readers of bz2 and xz end there, and what followed was lost in silence."""
    first, second = PACKS[kind](b"one\n"), PACKS[kind](b"two\n")
    for damaged in (bytes([second[0] ^ 1]) + second[1:], b"junk" + second, second[:4], second[:-1], b"x"):
        with pytest.raises(InputError, match="truncated or damaged"):
            read(tmp_path / "a", first + damaged)


def test_an_xz_stream_does_not_ask_for_all_memory(tmp_path: Path) -> None:
    data = bytearray(lzma.compress(b"text"))
    head = data[12 : 12 + 4 * (data[12] + 1)]
    head[head.index(b"\x21\x01") + 2] = 40  # a window of 4 GiB
    head[-4:] = struct.pack("<I", zlib.crc32(bytes(head[:-4])))
    data[12 : 12 + len(head)] = head
    with pytest.raises(InputError, match="[Mm]emory usage limit"):
        read(tmp_path / "a", bytes(data))


def test_zst_may_begin_with_a_frame_that_is_skipped() -> None:
    assert [compression(bytes([first]) + b"\x2a\x4d\x18") for first in (0x4F, 0x50, 0x5D, 0x60)] == [
        "",
        "zst",
        "zst",
        "",
    ]


@pytest.mark.parametrize("head", [b"7z\xbc\xaf'\x1c", b"Rar!\x1a\x07\x01", b"\x04\x22\x4d\x18", b"\x1f\x9d\x90"])
def test_what_nothing_reads_is_named(tmp_path: Path, head: bytes) -> None:
    with pytest.raises(InputError, match="is packed as .* which nothing here reads; unpack it"):
        read(tmp_path / "a", head + b"x" * 99)


@pytest.mark.parametrize("inner", ["gz", "tar.gz"])
def test_many_small_bombs_are_one(tmp_path: Path, inner: str) -> None:
    """Each within its limit, a tar of forty kilobytes gave seven gigabytes."""
    limits = replace(LIMITS, ratio_from=1 << 20)
    text = b"word " * (1 << 17)
    data = gzip.compress(text) if inner == "gz" else tar_bytes({"a.txt": text}, mode="w:gz")
    (tmp_path / "a.tar.gz").write_bytes(tar_bytes({f"{number}.txt.gz": data for number in range(30)}, mode="w:gz"))
    out = tmp_path / "raw"
    out.mkdir()
    recipe = replace(RECIPE, archives=["**/*.gz"] if inner == "tar.gz" else [])
    recipe = replace(recipe, include=["**/*.txt.gz"] if inner == "gz" else ["**/a.txt"])
    try:
        metrics = collect(tmp_path / "a.tar.gz", out, recipe, limits)
        assert metrics["skipped"]["archive refused"] >= 28
    except InputError as error:
        assert "decompression bomb" in str(error)


def test_what_is_read_twice_counts_once() -> None:
    outer = Account("outer", 10, replace(LIMITS, ratio_from=100, ratio=1))
    account = Account("it", 100, replace(LIMITS, ratio_from=1, ratio=1), outer)
    for total in (30, 60, 30, 60):
        account.add("a", total)
    account.add("b", 40)
    assert (account.total, outer.total) == (100, 100)
    with pytest.raises(InputError, match="it: 100 bytes unpack to more than 101"):
        account.add("b", 41)
    other = Account("other", 1 << 20, LIMITS, outer)
    with pytest.raises(InputError, match="outer: 10 bytes unpack"):
        other.add("a", 1)


def test_a_packed_tar_that_is_a_bomb_is_not_written_out(tmp_path: Path) -> None:
    packed = gzip.compress(tar_bytes({"a.txt": bytes(8 << 20)}))
    (tmp_path / "a").write_bytes(packed)
    with (
        pytest.raises(InputError, match="more than 2,0"),
        open_archive(tmp_path / "a", label="it", limits=replace(LIMITS, ratio_from=1 << 20, ratio=9)),
    ):
        pass
