"""Read the members of an archive, or of a directory tree, by name and in sorted order. Archives are hostile input.

Knows zip (wheels and EPUBs too), tar, Debian packages (`ar` of tars), plain or in gz, bz2, xz, zst, and single files,
recognised by their magic bytes, not by their names. Nothing is unpacked: a compressed tar is decompressed once into one
anonymous temporary file, because its members are read in sorted order; everything else is read in place. Members that
are compressed themselves (gz, dz, bz2, xz, zst) open decompressed. Refused with one clear line: names that escape the
archive, wanted links that point out of it, devices and pipes, truncated or damaged data, packings that nothing here
reads, and bombs (`Limits`, over all that is in an archive, at any depth).
"""

import contextlib
import io
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from io import BufferedReader
from pathlib import Path
from tarfile import BLOCKSIZE
from typing import IO

from llm.collect.decompress import (
    CHUNK,
    LIMITS,
    Account,
    Limits,
    Part,
    check_count,
    checked,
    compression,
    damage_is_input_error,
    decompressed,
    pour,
)
from llm.collect.listing import Listing
from llm.collect.tars import is_header, list_tar
from llm.collect.zips import list_zip
from llm.errors import InputError

UNREAD = {
    b"7z\xbc\xaf'\x1c": "7z", b"Rar!\x1a\x07": "rar", b"\x04\x22\x4d\x18": "lz4", b"\x1f\x9d": "compress (.Z)",
    b"LZIP\x01": "lzip", b"MSCF\0\0\0\0": "cab",
}  # fmt: skip


class TooLargeError(InputError):
    """Raised for a member that would have to be read whole and is larger than the limit."""


@dataclass(frozen=True)
class Archive:
    """An archive that is open. `names`: the members' names, sorted, '/'-separated, without leading './'. `links`: names
    of members that are links within the archive; they are not among `names`. `twice`: names that hide an earlier member
    of the same name. `open(name)` gives the member's bytes, decompressed. `account`: how much came out of it."""

    label: str
    names: list[str]
    links: list[str]
    open_raw: Callable[[str], IO[bytes]]
    limits: Limits
    twice: Sequence[str] = ()
    account: Account | None = None

    @cached_property
    def members(self) -> frozenset[str]:
        """The names, to ask for one of them."""
        return frozenset(self.names)

    def open(self, name: str) -> BufferedReader:
        """A stream whose reads raise InputError where the data is truncated, damaged or a bomb."""
        label = f"{self.label}: {name}"
        with damage_is_input_error(label):
            count = partial(self.account.add, name) if self.account else lambda total: None
            return checked(decompressed(self.open_raw(name), label, self.limits, count), label)

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
    within: Account | None = None,
) -> Iterator[Archive]:
    """Open the archive, file or directory at `path`. `label` names it in errors; `name` is the member's name if it
    turns out to be one plain file; only links whose name is `wanted` are an error when they point out of it; `within`
    is the account of the archive that it is a member of."""
    if not path.exists():
        raise InputError(f"{label}: {path} does not exist")
    with contextlib.ExitStack() as stack:
        if path.is_dir():
            yield open_directory(path, label, limits)
            return
        if not path.is_file():
            raise InputError(f"{label}: {path} is neither a file nor a directory; name one that is")
        account = Account(label, path.stat().st_size, limits, within)
        with damage_is_input_error(label):
            archive = open_file(path, stack, label=label, name=name or path.name, wanted=wanted, account=account)
        yield archive


def open_file(
    path: Path, stack: contextlib.ExitStack, *, label: str, name: str, wanted: Callable[[str], bool], account: Account
) -> Archive:
    size, limits = account.size, account.limits
    if size == 0:
        raise InputError(f"{label}: {path} is empty; fetch it again")
    file: IO[bytes] = stack.enter_context(path.open("rb"))
    head = file.read(8)
    file.seek(0)
    listing = Listing(label, size, limits)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        list_zip(file, stack, listing)
        account.add("", listing.total)
    elif head == b"!<arch>\n":
        list_tar(stack.enter_context(debian_data(file, account)), stack, listing)
    elif is_header(decompressed(file, label, limits).read(BLOCKSIZE)):
        file.seek(0)
        if compression(head):
            plain = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 (the stack closes it)
            pour(decompressed(file, label, limits), plain, account)
            file = plain
        list_tar(file, stack, listing)
    elif unread := next((kind for magic, kind in UNREAD.items() if head.startswith(magic)), ""):
        raise InputError(
            f"{label}: {name} is packed as {unread}, which nothing here reads; unpack it, or pack it as zip, tar, gz, "
            "bz2, xz or zst"
        )
    else:
        return Archive(label, [name], [], lambda _: open_path(path), limits, account=account)
    listing.check_links(wanted)
    return Archive(
        label, sorted(listing.members), sorted(listing.links), lambda name: listing.members[name](), limits,
        listing.twice, account,
    )  # fmt: skip


# ---- the kinds of archive


def open_directory(path: Path, label: str, limits: Limits) -> Archive:
    """Open a tree of the user's own as an archive. Links are not followed; names that begin with a dot, pipes, sockets
    and devices are no part of it."""
    names: list[str] = []
    links: list[str] = []

    def unreadable(error: OSError) -> None:
        raise InputError(f"{label}: a folder cannot be read ({error.strerror}): {str(error.filename)[-200:]}")

    for folder, folders, files in os.walk(path, onerror=unreadable):
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
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); mend that and run again") from error
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(f"{path.name} is no regular file")
    return os.fdopen(number, "rb")


def debian_data(file: IO[bytes], account: Account) -> IO[bytes]:
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
        if begin + length > account.size:
            raise EOFError(f"{name} ends too early")
        plain = tempfile.TemporaryFile()  # noqa: SIM115 (the caller's stack closes it)
        part = io.BufferedReader(Part(file, begin, length), CHUNK)
        pour(decompressed(part, account.label, account.limits), plain, account)
        return plain
    raise EOFError("no data.tar in the package")
