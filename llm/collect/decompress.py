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
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Protocol

from fastwarc.stream_io import ZstdReader

from llm.errors import InputError

CHUNK = 1 << 20
# what Python's decoders were seen to raise on damaged data (the last four: zipfile)
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
)


class Readable(Protocol):
    """A stream of bytes that is read from its beginning to its end."""

    def read(self, size: int = ..., /) -> bytes: ...

    def close(self) -> None: ...


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
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{label}: truncated or damaged archive ({problem}); fetch it again") from error


def compression(head: bytes) -> str:
    """Return gz, bz2, xz, zst or '' by the first bytes."""
    magics = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zst"}
    return next((kind for magic, kind in magics.items() if head.startswith(magic)), "")


def decompressed(file: IO[bytes], label: str, limits: Limits) -> IO[bytes]:
    """Return `file`, decompressed if its first bytes say so, and cut off with an InputError where a bomb begins."""
    head = file.read(6)
    file.seek(0)
    kind = compression(head)
    if not kind:
        return file
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return io.BufferedReader(Guarded(unpacker(kind, file), label, size, limits), CHUNK)


def unpacker(kind: str, file: IO[bytes]) -> Readable:
    """Return a decompressing reader. All of them raise where the data ends before its end mark."""
    match kind:
        case "gz":
            return gzip.GzipFile(fileobj=file)
        case "bz2":
            return bz2.BZ2File(file)
        case "xz":
            return lzma.LZMAFile(file)
    return ZstdReader(file)


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

    def __init__(self, inner: Readable, label: str, size: int, limits: Limits) -> None:
        self.inner, self.label, self.size, self.limits, self.total = inner, label, size, limits, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.inner.read(len(buffer))
        buffer[: len(data)] = data
        self.total += len(data)
        check_total(self.total, self.size, self.label, self.limits)
        return len(data)

    def close(self) -> None:
        self.inner.close()
        super().close()


def pour(source: IO[bytes], target: IO[bytes], label: str, size: int, limits: Limits) -> None:
    """Copy all of `source`, which came from `size` packed bytes, into `target`, within the limits."""
    total = 0
    while chunk := source.read(CHUNK):
        total += len(chunk)
        check_total(total, size, label, limits)
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
