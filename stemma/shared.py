"""The shared store: a second place for objects and records that other people and machines use too.

One small interface, bytes by name, and two places that have it: a directory (NFS will do: nothing but rename is asked
of it) and a bucket that speaks S3. Names are those of the own store: objects/ab/cdef..., records/ab/cdef....json.
Nothing here is believed: the reader hashes every object and checks every signature. A place that cannot be used raises
Unavailable, which no build fails from.
"""

import contextlib
import errno
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Protocol

from stemma.errors import StemmaError
from stemma.files import copy, is_plain, move, scratch_file

FULL = (errno.ENOSPC, errno.EDQUOT)
MISSING = ("404", "NoSuchKey", "NotFound")


class Unavailable(Exception):
    """Why the shared store cannot be used now, in a few words."""


class Shared(Protocol):
    """What a shared store can do; `place` names it for people. Every method may raise Unavailable."""

    place: str

    def has(self, name: str) -> bool:
        """Is there something of this name?"""

    def fetch(self, name: str, target: Path) -> bool:
        """Stream it to a file; False where there is nothing of this name."""

    def publish(self, name: str, file: Path) -> None:
        """Put a file's bytes there in one step, in place of what may be there."""

    def names(self, prefix: str) -> Iterator[str]:
        """All names that begin so, in no order."""


def shared_of(place: str | None) -> Shared | None:
    """The shared store at a directory or at s3://bucket/prefix. Raises StemmaError for anything else."""
    if not place:
        return None
    scheme, separator, rest = place.partition("://")
    if not separator:
        return SharedDirectory(Path(place).expanduser())
    if scheme != "s3" or not rest.strip("/"):
        raise StemmaError(f"config: shared_store: {place!r} is neither a directory nor s3://bucket/prefix; correct it")
    return SharedS3(place)


class SharedDirectory:
    """A directory that others can reach. It must exist: a mount that is missing is no empty store."""

    def __init__(self, path: Path):
        self.path = path
        self.place = str(path)

    def has(self, name: str) -> bool:
        with self.usable():
            return is_plain(self.path / name)

    def fetch(self, name: str, target: Path) -> bool:
        with self.usable(but=FULL):  # reading fills no disk but the target's, which the build needs
            if not is_plain(self.path / name):  # a pipe would be waited for, a device read without end
                return False
            try:
                copy(self.path / name, target)
            except FileNotFoundError:
                return False
            return True

    def publish(self, name: str, file: Path) -> None:
        with self.usable(), scratch_file(self.path / "tmp") as temporary:
            copy(file, temporary)
            move(temporary, self.path / name)

    def names(self, prefix: str) -> Iterator[str]:
        with self.usable():
            for file in self.path.rglob("*"):
                name = file.relative_to(self.path).as_posix()
                if name.startswith(prefix) and file.is_file():
                    yield name

    @contextlib.contextmanager
    def usable(self, but: tuple[int, ...] = ()) -> Iterator[None]:
        """Turn what the file system refuses into Unavailable, `but` for these error numbers."""
        try:
            if not self.path.is_dir():
                raise Unavailable("the directory is not there; mount or make it")
            yield
        except OSError as error:
            if error.errno in but:
                raise
            raise Unavailable((error.strerror or str(error)).lower()) from None


class SharedS3:
    """A bucket. Endpoint (AWS_ENDPOINT_URL), region and credentials are found by boto3 itself, in its usual places."""

    def __init__(self, url: str):
        self.place = url.rstrip("/")
        self.bucket, _, self.prefix = self.place.removeprefix("s3://").partition("/")

    @cached_property
    def client(self):
        """The connection. Few and short attempts: a build does not wait for a cache. The digests that others compute
        over each transfer are left out: every object is hashed here, and not every server knows them."""
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

    def fetch(self, name: str, target: Path) -> bool:
        with target.open("wb") as file, self.usable() as found:
            self.client.download_fileobj(self.bucket, self.key(name), file)
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
        """Tell what is wrong with the bucket from what is merely not in it: then the yielded list stays empty."""
        try:
            import boto3.exceptions
            import botocore.exceptions
            import s3transfer.exceptions
        except ImportError as error:
            raise Unavailable(f"{error.name} is not installed") from None
        try:
            yield []
        except botocore.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in MISSING:
                raise Unavailable(str(error)) from None
        except (
            botocore.exceptions.BotoCoreError,
            boto3.exceptions.Boto3Error,
            s3transfer.exceptions.RetriesExceededError,
        ) as error:
            raise Unavailable(str(error)) from None
