"""Decompresses untrusted data: streams that stop with one clear line at a bomb and at truncated data."""

import bz2
import contextlib
import errno
import gzip
import io
import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any, Protocol

from fastwarc.stream_io import ZstdReader

from llm.errors import InputError

CHUNK = 1 << 20
LONGEST = 200  # characters of what a decoder says
PACKED = 1 << 14  # bytes that a decoder is given at once: what follows a stream's end is copied for each stream
WINDOW = 1 << 30  # bytes of memory that an xz stream may ask for; `xz -9` takes 65 MiB
# what Python's decoders were seen to raise on damaged data (from NotImplementedError on: zipfile and tarfile)
DAMAGE = (
    EOFError,
    OSError,
    lzma.LZMAError,
    zlib.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    NotImplementedError,
    ValueError,
    RuntimeError,
    LookupError,
    struct.error,
    OverflowError,
    MemoryError,
)


class Readable(Protocol):
    """A stream of bytes that is read from its beginning to its end."""

    def read(self, size: int = ..., /) -> bytes: ...

    def close(self) -> None: ...


class Decoder(Protocol):
    """What undoes one stream of bz2 or xz."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


@dataclass(frozen=True)
class Limits:
    """What an archive may hold. The ratio (bytes held per byte of the archive) only counts beyond `ratio_from` bytes,
    where a bomb begins to cost: text in xz reaches 50. What is read whole has at most `member` bytes."""

    members: int = 500_000
    total: int = 64 << 30
    member: int = 128 << 20  # of what is read whole: a file, a page, a record, a line
    ratio: int = 200
    ratio_from: int = 256 << 20


LIMITS = Limits()


@contextlib.contextmanager
def damage_is_input_error(label: str) -> Iterator[None]:
    """Turn whatever the decoders raise on truncated or damaged data into one clear line."""
    try:
        yield
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the disk, not the data
        problem = (str(error).splitlines() or [type(error).__name__])[0]
        problem = problem if len(problem) <= LONGEST else f"{problem[:LONGEST]}..."  # it may hold what is damaged
        raise InputError(f"{label}: truncated or damaged archive ({problem}); fetch it again") from error


def compression(head: bytes) -> str:
    """Return gz, bz2, xz, zst or '' by the first bytes."""
    magics = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zst"}
    if head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5:  # a frame that readers skip, RFC 8878
        return "zst"
    return next((kind for magic, kind in magics.items() if head.startswith(magic)), "")


def decompressed(
    file: IO[bytes], label: str, limits: Limits, count: Callable[[int], None] = lambda total: None
) -> IO[bytes]:
    """Return `file`, decompressed if its first bytes say so, and cut off with an InputError where a bomb begins.
    `count` is told how many bytes came out of it so far."""
    head = file.read(6)
    file.seek(0)
    kind = compression(head)
    if not kind:
        return file
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return io.BufferedReader(Guarded(unpacker(kind, file), label, size, limits, count), CHUNK)


def unpacker(kind: str, file: IO[bytes]) -> Readable:
    """Return a decompressing reader. All of them raise where the data ends before its end mark."""
    match kind:
        case "gz":
            return gzip.GzipFile(fileobj=file)
        case "bz2":
            return Streams(file, bz2.BZ2Decompressor)
        case "xz":
            return Streams(file, partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, WINDOW))
    return ZstdReader(file)


class Streams:
    """The streams of bz2 or xz that a file holds one after the other. Python's own readers end in silence where the
    next stream's head is damaged, and with it all that follows: here only zeros may stand between streams."""

    def __init__(self, file: IO[bytes], start: Callable[[], Decoder]) -> None:
        self.file, self.start = file, start
        self.decoder: Decoder | None = None
        self.packed = b""

    def read(self, size: int = CHUNK, /) -> bytes:
        while self.decoder or self.begin():
            assert self.decoder
            packed = self.packed or (self.file.read(PACKED) if self.decoder.needs_input else b"")
            if not packed and self.decoder.needs_input:
                raise EOFError("it ends before the end of a stream")
            data, self.packed = self.decoder.decompress(packed, size), b""
            if self.decoder.eof:
                self.packed, self.decoder = self.decoder.unused_data, None
            if data:
                return data
        return b""

    def begin(self) -> bool:
        """Begin the next stream. Returns False at the end of the file."""
        while not (packed := self.packed.lstrip(b"\0")):
            self.packed = self.file.read(PACKED)
            if not self.packed:
                return False
        self.packed, self.decoder = packed, self.start()
        return True

    def close(self) -> None:
        """As Python's own readers, it leaves the file to who opened it."""


def checked(file: IO[bytes], label: str) -> io.BufferedReader:
    """Return `file`, whose reads raise InputError where a decoder finds damage."""
    return io.BufferedReader(Checked(file, label), CHUNK)


class Checked(io.RawIOBase):
    """A reader that passes reads on and makes a decoder's errors clear."""

    def __init__(self, inner: Readable, label: str) -> None:
        self.inner, self.label = inner, label

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with damage_is_input_error(self.label):
            data = self.inner.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self.inner.close()
        super().close()


class Guarded(io.RawIOBase):
    """A decompressing stream that counts what comes out of it and checks the limits."""

    def __init__(self, inner: Readable, label: str, size: int, limits: Limits, count: Callable[[int], None]) -> None:
        self.inner, self.label, self.size, self.limits, self.count, self.total = inner, label, size, limits, count, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.inner.read(len(buffer))
        buffer[: len(data)] = data
        self.total += len(data)
        check_total(self.total, self.size, self.label, self.limits)
        self.count(self.total)
        return len(data)

    def close(self) -> None:
        self.inner.close()
        super().close()


@dataclass
class Account:
    """How much came out of an archive of `size` bytes, at any depth: packed members and archives within it may each be
    small, and many. Of what is read twice the larger reading counts."""

    label: str
    size: int
    limits: Limits
    within: "Account | None" = None
    members: dict[str, int] = field(default_factory=dict)
    total: int = 0

    def add(self, name: str, total: int) -> None:
        """Take note that `total` bytes of a member, or of all of them (name ''), were unpacked."""
        more = total - self.members.get(name, 0)
        if more > 0:
            self.members[name] = total
            self.total += more
        check_total(self.total, self.size, self.label, self.limits)
        if self.within is not None:
            self.within.add(self.label, self.total)


def pour(source: IO[bytes], target: IO[bytes], account: Account) -> None:
    """Copy all of `source`, whose unpacking is the account's, into `target`, within the limits."""
    total = 0
    while chunk := source.read(CHUNK):
        total += len(chunk)
        account.add("", total)
        target.write(chunk)
    target.seek(0)


class Part(io.RawIOBase):
    """Bytes [begin, begin + length) of a file, read as a file."""

    def __init__(self, file: IO[bytes], begin: int, length: int) -> None:
        self.file, self.begin, self.length, self.position = file, begin, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.length}[whence]
        return self.position

    def readinto(self, buffer: Any) -> int:
        self.file.seek(self.begin + self.position)
        data = self.file.read(min(len(buffer), max(0, self.length - self.position)))
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)


def check_count(number: int, label: str, limits: Limits) -> None:
    if number >= limits.members:
        raise InputError(f"{label}: more than {limits.members:,} members; refusing the archive")


def check_total(total: int, size: int, label: str, limits: Limits) -> None:
    if total > limits.total or (total > limits.ratio_from and total > limits.ratio * size):
        raise InputError(f"{label}: {size:,} bytes unpack to more than {total:,}: a decompression bomb; refusing it")
