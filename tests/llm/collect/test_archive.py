"""Archives: every kind is read alike, and a hostile or broken one ends in one clear line."""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import shutil
import socket
import stat
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.collect.archive import Archive, open_archive
from llm.collect.decompress import Limits
from llm.errors import InputError

FILES = {"b/second.txt": b"second", "a/first.txt": b"first", "a/packed.txt.gz": gzip.compress(b"unpacked", mtime=0)}


def tar_bytes(files: dict[str, bytes], *, extra: list[tarfile.TarInfo] = (), mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info in extra:
            tar.addfile(info)
    return buffer.getvalue()


def zip_bytes(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def deb_bytes(data_name: str, data: bytes) -> bytes:
    members = [("debian-binary", b"2.0\n"), ("control.tar.xz", lzma.compress(b"x" * 11)), (data_name, data)]
    out = b"!<arch>\n"
    for name, content in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode() + content
        out += b"\n" * (len(content) % 2)
    return out


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def contents(path: Path, **options) -> dict[str, bytes]:
    with open_archive(path, label="it", **options) as archive:
        return {name: archive.read(name) for name in archive.names}


def refuses(tmp_path: Path, data: bytes, match: str, **options) -> None:
    path = tmp_path / "archive"
    path.write_bytes(data)
    with pytest.raises(InputError, match=match) as caught:
        contents(path, **options)
    assert "\n" not in str(caught.value)


KINDS = {
    "tar": tar_bytes(FILES),
    "tar.gz": tar_bytes(FILES, mode="w:gz"),
    "tar.bz2": tar_bytes(FILES, mode="w:bz2"),
    "tar.xz": tar_bytes(FILES, mode="w:xz"),
    "zip": zip_bytes(FILES),
    "deb (xz)": deb_bytes("data.tar.xz", tar_bytes({"./" + name: data for name, data in FILES.items()}, mode="w:xz")),
    "deb (gz)": deb_bytes("data.tar.gz", tar_bytes(FILES, mode="w:gz")),
    "deb (plain)": deb_bytes("data.tar", tar_bytes(FILES)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_recognised_by_its_bytes_and_read_in_sorted_order(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "archive"
    path.write_bytes(KINDS[kind])
    found = contents(path)
    assert list(found) == sorted(FILES)
    assert found == FILES | {"a/packed.txt.gz": b"unpacked"}


@pytest.mark.skipif(not shutil.which("zstd"), reason="no zstd program")
def test_debian_package_packed_with_zstd(tmp_path: Path) -> None:
    packed = subprocess.run(["zstd", "-qc"], input=tar_bytes(FILES), capture_output=True, check=True).stdout
    path = tmp_path / "archive"
    path.write_bytes(deb_bytes("data.tar.zst", packed))
    assert list(contents(path)) == sorted(FILES)
    refuses(tmp_path, deb_bytes("data.tar.zst", packed[: len(packed) // 2]), "truncated or damaged")


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_one_file_is_an_archive_of_one_member(tmp_path: Path, pack) -> None:
    path = tmp_path / "archive"
    path.write_bytes(pack(b"just text"))
    assert contents(path, name="book.txt") == {"book.txt": b"just text"}


def test_pipes_and_sockets_in_a_directory_are_left_out(tmp_path: Path) -> None:
    """A reader of one would wait for ever, or fail with a traceback."""
    (tmp_path / "a.txt").write_text("text")
    os.mkfifo(tmp_path / "b.txt")
    with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(tmp_path):
        server.bind("c.txt")
        with open_archive(tmp_path, label="source") as archive:
            assert archive.names == ["a.txt"]
        for name in ("b.txt", "c.txt"):
            with (
                pytest.raises(InputError, match="neither a file nor a directory"),
                open_archive(Path(name), label="it"),
            ):
                pass


def test_what_cannot_be_read_in_a_directory_is_one_line(tmp_path: Path) -> None:
    """A folder that could not be listed was left out in silence."""
    (tmp_path / "a.txt").write_text("text")
    with open_archive(tmp_path, label="it") as archive:
        (tmp_path / "a.txt").unlink()
        with pytest.raises(InputError, match="a.txt cannot be read"):
            archive.read("a.txt")
    with contextlib.chdir(tmp_path):
        for _ in range(80):  # a path longer than the system's longest
            Path("d" * 60).mkdir()
            os.chdir("d" * 60)
    with pytest.raises(InputError, match="it: a folder cannot be read"), open_archive(tmp_path, label="it"):
        pass


def test_a_pipe_that_took_a_files_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    with open_archive(tmp_path, label="source") as archive:
        (tmp_path / "a.txt").unlink()
        os.mkfifo(tmp_path / "a.txt")
        with pytest.raises(InputError, match="no regular file"):
            archive.read("a.txt")


def test_directory_is_walked_without_links_and_hidden_files(tmp_path: Path) -> None:
    for name in ("b.txt", "sub/a.txt", ".hidden", ".git/config"):
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text(name)
    (tmp_path / "tree/link.txt").symlink_to("/etc/passwd")
    with open_archive(tmp_path / "tree", label="it") as archive:
        assert (archive.names, archive.links) == (["b.txt", "sub/a.txt"], ["link.txt"])
        assert archive.read("sub/a.txt") == b"sub/a.txt"


def test_missing_and_empty(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        contents(tmp_path / "nowhere")
    refuses(tmp_path, b"", "is empty")


@pytest.mark.parametrize("name", ["../evil.txt", "/etc/evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:/evil.txt"])
def test_members_that_escape_are_refused(tmp_path: Path, name: str) -> None:
    refuses(tmp_path, tar_bytes({name: b"evil"}), "escapes the archive")
    if not name.startswith("..\\"):
        refuses(tmp_path, zip_bytes({name: b"evil"}), "escapes the archive")


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes_are_refused(tmp_path: Path, kind: bytes) -> None:
    refuses(tmp_path, tar_bytes(FILES, extra=[special("dev", kind)]), "device or a pipe")


@pytest.mark.parametrize("target", ["/etc/passwd", "../../etc/passwd"])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_wanted_links_out_of_the_archive_are_refused_others_ignored(tmp_path: Path, kind: bytes, target: str) -> None:
    data = tar_bytes(FILES, extra=[special("a/link.txt", kind, target)])
    refuses(tmp_path, data, "link out of the archive")
    (tmp_path / "archive").write_bytes(data)
    assert "a/link.txt" not in contents(tmp_path / "archive", wanted=lambda name: "link" not in name)


def test_links_within_are_listed_not_followed(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(tar_bytes(FILES, extra=[special("a/link", tarfile.SYMTYPE, "../b/second.txt")]))
    with open_archive(tmp_path / "archive", label="it") as archive:
        assert archive.links == ["a/link"]
        assert "a/link" not in archive.names


def test_zip_links_and_encryption(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("link.txt")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    refuses(tmp_path, buffer.getvalue(), "link out of the archive")
    data = bytearray(zip_bytes({"a.txt": b"a"}))
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    refuses(tmp_path, bytes(data), "encrypted")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated_archives(tmp_path: Path, kind: str, share: float) -> None:
    data = KINDS[kind]
    if kind in ("tar", "deb (plain)"):  # padding: cut inside the members, not in the zeros behind them
        share *= 0.2
    refuses(tmp_path, data[: int(len(data) * share)], "truncated or damaged|escapes|is empty")


def test_tar_cut_between_two_members(tmp_path: Path) -> None:
    refuses(tmp_path, tar_bytes({"a": b"1" * 512, "b": b"2" * 512})[:1024], "no end mark")


def test_bombs(tmp_path: Path) -> None:
    small = Limits(members=100, total=1 << 20, ratio=50, ratio_from=1 << 16)
    zeros = bytes(1 << 19)
    for data in (
        tar_bytes({"zeros": zeros}, mode="w:gz"),
        zip_bytes({"zeros": zeros}),
        tar_bytes({"zeros.gz": gzip.compress(zeros)}),
        bz2.compress(zeros),
        deb_bytes("data.tar.xz", tar_bytes({"zeros": zeros}, mode="w:xz")),
    ):
        refuses(tmp_path, data, "decompression bomb", limits=small)
    refuses(tmp_path, tar_bytes({str(number): b"" for number in range(101)}), "more than 100 members", limits=small)
    refuses(tmp_path, tar_bytes({"big": os.urandom(1 << 20), "more": b"1"}), "decompression bomb", limits=small)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=2000), st.sampled_from(sorted(KINDS)), st.floats(0, 1))
def test_garbage_is_never_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, kind: str, at: float
) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage"
    data = bytearray(KINDS[kind])
    start = int(at * len(data))
    data[start : start + len(noise)] = noise
    path.write_bytes(data)
    try:
        with open_archive(path, label="it") as archive:
            assert isinstance(archive, Archive)
            for name in archive.names:
                archive.read(name)
    except InputError as error:
        assert "\n" not in str(error)
