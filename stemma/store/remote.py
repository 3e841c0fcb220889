"""The shared store: a second store of objects and records, which other people and machines use too.

There is one small interface, bytes by name, and two implementations: a directory (NFS will do: all it needs is rename)
and an S3 bucket. Names are those of the local store: objects/ab/cdef..., records/ab/cdef....json. Nothing from it is
trusted here: the reader hashes every object and checks every signature. An unusable store raises Unavailable, from
which no build fails.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Protocol

from stemma.base.errors import StemmaError, reason
from stemma.base.files import copy, is_plain, owner_is_dead, scratch_name
from stemma.base.untrusted_files import Unusable, copy_plain, folder_below, read_plain

FULL = (errno.ENOSPC, errno.EDQUOT)
MISSING = ("404", "NoSuchKey", "NotFound")
MISREAD = (LookupError, TypeError, ValueError, RecursionError)  # what boto3 raises on answers that no S3 server gives


class Unavailable(Exception):
    """Why the shared store cannot be used now, in a few words."""


def brief(error: Exception) -> str:
    """Return an error's type and message, at most 200 characters: some repeat what a server sent."""
    return f"{type(error).__name__}: {error}"[:200]


def sweep(folder: int) -> None:
    """Remove from an open directory what dead processes of this host left there."""
    for name in os.listdir(folder):  # noqa: PTH208 (of a descriptor)
        if not owner_is_dead(name):
            continue
        with contextlib.suppress(OSError):  # another user's, or gone already
            try:
                os.unlink(name, dir_fd=folder)
            except IsADirectoryError:
                shutil.rmtree(name, dir_fd=folder)


class Shared(Protocol):
    """The interface of a shared store; `place` names it in messages. Every method may raise Unavailable; those that
    read raise Unusable for anything but a readable file of at most `limit` bytes."""

    place: str

    def has(self, name: str) -> bool:
        """Is there something of this name?"""

    def read(self, name: str, limit: int) -> bytes | None:
        """Return the bytes under a name; None where there are none."""

    def fetch(self, name: str, target: Path, limit: int) -> bool:
        """Copy the bytes under a name to a file; False where there are none."""

    def publish(self, name: str, file: Path) -> None:
        """Store a file's bytes under a name atomically, replacing what may be there."""

    def names(self, prefix: str) -> Iterator[str]:
        """Yield all names of a kind, `objects/` or `records/`, in any order."""


def shared_of(place: str | None) -> Shared | None:
    """Return the shared store at a directory or at s3://bucket/prefix. Raises StemmaError for anything else."""
    if not place:
        return None
    scheme, separator, rest = place.partition("://")
    if not separator:
        return SharedDirectory(Path(place).expanduser())
    if scheme != "s3" or not rest.strip("/"):
        raise StemmaError(f"config: shared_store: {place!r} is neither a directory nor s3://bucket/prefix; correct it")
    return SharedS3(place)


class SharedDirectory:
    """A shared store in a directory. The directory must exist: a missing mount is not taken for an empty store.

    Whoever may write to it may write to what is made in it: folders get its mode, files are readable by everyone."""

    def __init__(self, path: Path):
        self.path = path
        self.place = str(path)

    def has(self, name: str) -> bool:
        with self.usable(), self.folder_of(name) as (folder, last):
            return folder is not None and is_plain(last, folder)

    def read(self, name: str, limit: int) -> bytes | None:
        with self.usable(), self.folder_of(name) as (folder, last):
            return None if folder is None else read_plain(last, limit, folder)

    def fetch(self, name: str, target: Path, limit: int) -> bool:
        # Reading fills no disk but the target's, which the build needs.
        with self.usable(but=FULL), self.folder_of(name) as (folder, last):
            return folder is not None and copy_plain(last, folder, target, limit)

    def publish(self, name: str, file: Path) -> None:
        with self.usable(), folder_below(self.path, "tmp", make=True) as tmp, self.folder_of(name, make=True) as place:
            sweep(tmp)
            folder, last = place
            temporary = scratch_name()
            try:
                copy(file, temporary, tmp)
                os.rename(temporary, last, src_dir_fd=tmp, dst_dir_fd=folder)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=tmp)
                raise

    def names(self, prefix: str) -> Iterator[str]:
        kind = prefix.rstrip("/")
        with self.usable():
            for inner in self.listed(kind):
                yield from (f"{kind}/{inner}/{name}" for name in self.listed(kind, inner) if name[:1] != ".")

    def listed(self, *names: str) -> list[str]:
        """Return the names in a folder; none where it is missing."""
        try:
            with folder_below(self.path, *names) as folder:
                return os.listdir(folder)  # noqa: PTH208 (of a descriptor)
        except (FileNotFoundError, NotADirectoryError):
            return []

    @contextlib.contextmanager
    def folder_of(self, name: str, make: bool = False) -> Iterator[tuple[int | None, str]]:
        """Yield the open folder that a name is in (None where it is missing) and the last part of the name."""
        *folders, last = name.split("/")
        with contextlib.ExitStack() as stack:
            try:
                folder = stack.enter_context(folder_below(self.path, *folders, make=make))
            except FileNotFoundError:
                folder = None
            yield folder, last

    @contextlib.contextmanager
    def usable(self, but: tuple[int, ...] = ()) -> Iterator[None]:
        """Turn errors of the file system into Unavailable, except these error numbers."""
        try:
            if not self.path.is_dir():
                raise Unavailable("the directory is not there; mount or make it")
            yield
        except OSError as error:
            if error.errno in but:
                raise
            raise Unavailable(reason(error)) from None


class SharedS3:
    """A shared store in an S3 bucket. boto3 finds endpoint (AWS_ENDPOINT_URL), region and credentials in its usual
    places."""

    def __init__(self, url: str):
        self.place = url.rstrip("/")
        self.bucket, _, self.prefix = self.place.removeprefix("s3://").partition("/")

    @cached_property
    def client(self):
        """The boto3 client. Attempts are few and short, since a build does not wait for a cache. Transfer checksums are
        off: every object is hashed here, and not every server supports them."""
        import boto3
        from botocore.config import Config

        config = Config(
            connect_timeout=3,
            read_timeout=60,
            retries={"mode": "standard", "total_max_attempts": 3},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        return boto3.client("s3", config=config)

    def key(self, name: str) -> str:
        """The object's key in the bucket."""
        return f"{self.prefix}/{name}" if self.prefix else name

    def has(self, name: str) -> bool:
        with self.usable() as found:
            self.client.head_object(Bucket=self.bucket, Key=self.key(name))
            found.append(name)
        return bool(found)

    def read(self, name: str, limit: int) -> bytes | None:
        with self.usable() as found:
            answer = self.client.get_object(Bucket=self.bucket, Key=self.key(name))
            found.append(answer["Body"].read(limit + 1))
        if found and len(found[0]) > limit:
            raise Unusable(f"has more than {limit:,} bytes")
        return found[0] if found else None

    def fetch(self, name: str, target: Path, limit: int) -> bool:
        with target.open("wb") as file, self.usable() as found:
            self.client.download_fileobj(self.bucket, self.key(name), Bounded(file, limit))
            found.append(name)
        return bool(found)

    def publish(self, name: str, file: Path) -> None:
        with self.usable():
            self.client.upload_file(str(file), self.bucket, self.key(name))

    def names(self, prefix: str) -> Iterator[str]:
        with self.usable():
            pages = self.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=self.key(prefix)):
                for item in page.get("Contents", ()):
                    yield item["Key"].removeprefix(self.key(""))

    @contextlib.contextmanager
    def usable(self) -> Iterator[list]:
        """Turn errors of the bucket into Unavailable. The yielded list stays empty if the name is merely not in it."""
        try:
            import boto3.exceptions
            import botocore.exceptions
            import botocore.parsers
            import s3transfer.exceptions
        except ImportError as error:
            raise Unavailable(f"{error.name} is not installed") from None
        try:
            yield []
        except botocore.exceptions.ClientError as error:
            if error.response["Error"].get("Code") not in MISSING:
                raise Unavailable(brief(error)) from None
        except (
            botocore.exceptions.BotoCoreError,
            boto3.exceptions.Boto3Error,
            botocore.parsers.ResponseParserError,
            s3transfer.exceptions.RetriesExceededError,
            *MISREAD,
        ) as error:
            raise Unavailable(brief(error)) from None


class Bounded:
    """A file to write to that accepts at most `limit` bytes, so that no bucket can fill the disk. Raises Unusable."""

    def __init__(self, file: BinaryIO, limit: int):
        self.file = file
        self.left = limit
        self.limit = limit
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def write(self, data: bytes) -> int:
        self.left -= len(data)
        if self.left < 0:
            raise Unusable(f"has more than {self.limit:,} bytes")
        return self.file.write(data)
