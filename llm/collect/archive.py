"""Read the members of an archive, or of a directory tree, by name and in sorted order. Archives are hostile input.

Knows zip (wheels and EPUBs too), tar, Debian packages (`ar` of tars), plain or in gz, bz2, xz, zst, and single files,
recognised by their magic bytes, not by their names. Nothing is unpacked: a compressed tar is decompressed once into one
anonymous temporary file, because its members are read in sorted order; everything else is read in place. Members that
are compressed themselves (gz, dz, bz2, xz, zst) open decompressed. Refused with one clear line: names that escape the
archive, wanted links that point out of it, devices and pipes, truncated or damaged data, and bombs (`Limits`).
"""

import contextlib
import io
import os
import posixpath
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO

from llm.collect.decompress import (
    CHUNK,
    LIMITS,
    Limits,
    Part,
    check_count,
    check_total,
    checked,
    compression,
    damage_is_input_error,
    decompressed,
    pour,
)
from llm.errors import InputError


class TooLargeError(InputError):
    """Raised for a member that would have to be read whole and is larger than the limit."""


@dataclass(frozen=True)
class Archive:
    """An archive that is open. `names`: the members' names, sorted, '/'-separated, without leading './'. `links`: names
    of members that are links within the archive; they are not among `names`. `open(name)` gives the member's bytes,
    decompressed."""

    label: str
    names: list[str]
    links: list[str]
    open_raw: Callable[[str], IO[bytes]]
    limits: Limits

    def open(self, name: str) -> BufferedReader:
        """A stream whose reads raise InputError where the data is truncated, damaged or a bomb."""
        label = f"{self.label}: {name}"
        with damage_is_input_error(label):
            return checked(decompressed(self.open_raw(name), label, self.limits), label)

    def read(self, name: str) -> bytes:
        """Return the whole member. Raises InputError if it is larger than the limit."""
        with self.open(name) as file:
            data = file.read(self.limits.member + 1)
        if len(data) > self.limits.member:
            raise TooLargeError(
                f"{self.label}: {name} holds more than {self.limits.member:,} bytes; exclude it, or split it"
            )
        return data


@contextlib.contextmanager
def open_archive(
    path: Path,
    *,
    label: str,
    name: str = "",
    wanted: Callable[[str], bool] = lambda name: True,
    limits: Limits = LIMITS,
) -> Iterator[Archive]:
    """Open the archive, file or directory at `path`. `label` names it in errors; `name` is the member's name if it
    turns out to be one plain file; only links whose name is `wanted` are an error when they point out of it."""
    if not path.exists():
        raise InputError(f"{label}: {path} does not exist")
    with contextlib.ExitStack() as stack:
        if path.is_dir():
            yield open_directory(path, label, limits)
            return
        if not path.is_file():
            raise InputError(f"{label}: {path} is neither a file nor a directory; name one that is")
        with damage_is_input_error(label):
            archive = open_file(path, stack, label=label, name=name or path.name, wanted=wanted, limits=limits)
        yield archive


def open_file(
    path: Path, stack: contextlib.ExitStack, *, label: str, name: str, wanted: Callable[[str], bool], limits: Limits
) -> Archive:
    size = path.stat().st_size
    if size == 0:
        raise InputError(f"{label}: {path} is empty; fetch it again")
    file: IO[bytes] = stack.enter_context(path.open("rb"))
    head = file.read(8)
    file.seek(0)
    if head == b"!<arch>\n":
        file = stack.enter_context(debian_data(file, label, size, limits))
        return open_tar(file, stack, label=label, wanted=wanted, limits=limits, size=size)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return open_zip(file, stack, label=label, wanted=wanted, limits=limits, size=size)
    if is_tar(decompressed(file, label, limits)):
        file.seek(0)
        if compression(head):
            plain = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 (the stack closes it)
            pour(decompressed(file, label, limits), plain, label, size, limits)
            file = plain
        return open_tar(file, stack, label=label, wanted=wanted, limits=limits, size=size)
    return Archive(label, [name], [], lambda _: open_path(path), limits)


# ---- the kinds of archive


def open_tar(
    file: IO[bytes],
    stack: contextlib.ExitStack,
    *,
    label: str,
    wanted: Callable[[str], bool],
    limits: Limits,
    size: int,
) -> Archive:
    file.seek(0)
    tar = stack.enter_context(contextlib.closing(tarfile.TarFile(fileobj=file)))
    members: dict[str, tarfile.TarInfo] = {}
    links: dict[str, str] = {}
    total = 0
    for number, member in enumerate(tar):
        check_count(number, label, limits)
        if member.isdir():
            continue
        name = safe_name(member.name, label)
        if member.issym() or member.islnk():
            base = posixpath.dirname(name) if member.issym() else ""
            links[name] = posixpath.normpath(posixpath.join(base, member.linkname))
            continue
        if not member.isreg():
            raise InputError(f"{label}: member '{name}' is a device or a pipe; refusing the archive")
        total += member.size
        check_total(total, size, label, limits)
        members[name] = member
    check_tar_end(file, tar.offset, label)
    check_links(links, wanted, label)
    return Archive(label, sorted(members), sorted(links), lambda name: required(tar.extractfile(members[name])), limits)


def check_tar_end(file: IO[bytes], offset: int, label: str) -> None:
    """Raise InputError unless a tar is whole. tarfile takes the end of the file, and any garbage after the first
    member, for the end of the archive; a whole tar has a block of zeros there."""
    file.seek(offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise InputError(f"{label}: truncated or damaged archive (no end mark after its last member); fetch it again")


def required(file: IO[bytes] | None) -> IO[bytes]:
    if file is None:
        raise tarfile.TarError("member without data")
    return file


def open_zip(
    file: IO[bytes],
    stack: contextlib.ExitStack,
    *,
    label: str,
    wanted: Callable[[str], bool],
    limits: Limits,
    size: int,
) -> Archive:
    archive = stack.enter_context(zipfile.ZipFile(file))
    members: dict[str, zipfile.ZipInfo] = {}
    links: dict[str, str] = {}
    total = 0
    for number, member in enumerate(archive.infolist()):
        check_count(number, label, limits)
        if member.is_dir():
            continue
        name = safe_name(member.filename, label)
        mode = member.external_attr >> 16
        if member.flag_bits & 1:
            raise InputError(f"{label}: member '{name}' is encrypted; pack the archive without a password")
        if stat.S_ISLNK(mode):
            target = archive.read(member).decode("utf-8", "replace") if member.file_size < 4096 else "/"
            links[name] = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
            continue
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise InputError(f"{label}: member '{name}' is a device or a pipe; refusing the archive")
        total += member.file_size
        check_total(total, size, label, limits)
        members[name] = member
    check_links(links, wanted, label)
    return Archive(label, sorted(members), sorted(links), lambda name: archive.open(members[name]), limits)


def open_directory(path: Path, label: str, limits: Limits) -> Archive:
    """Open a tree of the user's own as an archive. Links are not followed; names that begin with a dot, pipes, sockets
    and devices are no part of it."""
    names: list[str] = []
    links: list[str] = []
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            inner = Path(folder, name)
            if name.startswith(".") or not (inner.is_symlink() or inner.is_file()):
                continue
            (links if inner.is_symlink() else names).append(inner.relative_to(path).as_posix())
            check_count(len(names), label, limits)
    return Archive(label, sorted(names), sorted(links), lambda name: open_path(path / name), limits)


def open_path(path: Path) -> IO[bytes]:
    """Open a file for reading. A pipe that took a file's place is refused; waiting for its writer would take for
    ever."""
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(f"{path.name} is no regular file")
    return os.fdopen(number, "rb")


def debian_data(file: IO[bytes], label: str, size: int, limits: Limits) -> IO[bytes]:
    """Return the data.tar of a Debian package (deb(5): an `ar` archive), decompressed into a temporary file."""
    file.seek(8)
    while header := file.read(60):
        if len(header) < 60 or header[58:] != b"`\n":
            raise EOFError("broken ar header")
        if not header[48:58].strip().isdigit():
            raise EOFError("broken ar header")
        length = int(header[48:58])
        name = header[:16].decode("ascii", "replace").rstrip(" /")
        if not name.startswith("data.tar"):
            file.seek(length + length % 2, os.SEEK_CUR)
            continue
        begin = file.tell()
        if begin + length > size:
            raise EOFError(f"{name} ends too early")
        plain = tempfile.TemporaryFile()  # noqa: SIM115 (the caller's stack closes it)
        part = io.BufferedReader(Part(file, begin, length), CHUNK)
        pour(decompressed(part, label, limits), plain, label, size, limits)
        return plain
    raise EOFError("no data.tar in the package")


def is_tar(file: IO[bytes]) -> bool:
    """Is the first block a tar header with a right checksum? All tars have one, not all have the magic."""
    block = file.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE or not block.strip(b"\0"):
        return False
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


# ---- checks


def safe_name(name: str, label: str) -> str:
    """Return the name without './'. Raises InputError if it is absolute or climbs out of the archive."""
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or "\0" in name or (len(name) > 1 and name[1] == ":"):
        raise InputError(f"{label}: member '{name}' escapes the archive's directory; refusing the archive")
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def check_links(links: dict[str, str], wanted: Callable[[str], bool], label: str) -> None:
    for name, target in sorted(links.items()):
        if wanted(name) and (target.startswith("/") or target.split("/")[0] == ".."):
            raise InputError(f"{label}: member '{name}' is a link out of the archive (to {target}); exclude it")
