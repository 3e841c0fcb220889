"""Lists the members of a tar, hostile as it may be. Its packing was undone before (llm/collect/decompress.py).

tarfile believes its headers: it would read a name of any length, copy the records of a global header for each member,
and go back for ever by a negative size. What it reads between two members is bounded here, and of each only the place
is kept.
"""

import contextlib
import io
import tarfile
from functools import partial
from typing import IO

from llm.collect.decompress import CHUNK, Part
from llm.collect.listing import Listing

HEADERS = 1 << 20  # bytes of all headers of one member: long names, pax records, maps of holes
RECORDS = 1000  # pax records that hold for all members: each of them gets a copy
NO_FILES = (b"V", b"D")  # GNU: the archive's label, the contents of a folder
DEVICES = (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)


class Headers:
    """The file as tarfile sees it while it looks for the next member. `left`: how many bytes it may read yet."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.left = file, HEADERS
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        self.left -= size
        if self.left < 0:
            raise tarfile.ReadError(f"the headers of a member have more than {HEADERS:,} bytes")
        return self.file.read(size)


def list_tar(file: IO[bytes], stack: contextlib.ExitStack, listing: Listing) -> None:
    """Add the members. Raises tarfile.TarError, ValueError and the like for a damaged archive, InputError for one that
    is refused."""
    file.seek(0)
    headers = Headers(file)
    tar = stack.enter_context(contextlib.closing(tarfile.TarFile(fileobj=headers)))  # type: ignore[arg-type]
    while member := tar.next():
        listing.count()
        if len(tar.pax_headers) > RECORDS:
            raise tarfile.ReadError(f"more than {RECORDS:,} pax records for all members")
        add(member, file, tar, listing)
        tar.members.clear()  # type: ignore[attr-defined]
        headers.left = HEADERS
    tar.fileobj = file
    check_end(file, tar.offset)


def add(member: tarfile.TarInfo, file: IO[bytes], tar: tarfile.TarFile, listing: Listing) -> None:
    if member.size < 0:
        raise tarfile.ReadError(f"a member of {member.size:,} bytes")
    if member.isdir() or member.type in NO_FILES:
        return
    if member.issym() or member.islnk():
        listing.link(member.name, member.linkname, hard=member.islnk())
    elif member.issparse():
        listing.add(member.name, member.size, partial(sparse, tar, member))
    elif member.isreg():
        listing.add(member.name, member.size, partial(part, file, member.offset_data, member.size))
    elif member.type in DEVICES:
        raise listing.refused(member.name, "a device or a pipe")
    else:
        raise listing.refused(member.name, f"of the unknown kind {member.type.decode('latin-1')!r}")


def part(file: IO[bytes], begin: int, size: int) -> IO[bytes]:
    """Open a member."""
    return io.BufferedReader(Part(file, begin, size), min(CHUNK, size + 1))


def sparse(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    found = tar.extractfile(member)
    assert found is not None  # it is a file
    return found


def check_end(file: IO[bytes], offset: int) -> None:
    """Raise tarfile.ReadError unless a tar is whole and alone. tarfile takes the end of the file, and any garbage after
    the first member, for the end of the archive; a whole tar has a block of zeros there. Garbage may follow that, as
    the rest of a tape's record, but not another tar."""
    file.seek(offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("no end mark after its last member")
    while chunk := file.read(CHUNK):
        zeros = len(chunk) - len(chunk.lstrip(b"\0"))
        if zeros < len(chunk):
            begin = zeros - zeros % tarfile.BLOCKSIZE
            if is_header(chunk[begin : begin + tarfile.BLOCKSIZE]):
                raise tarfile.ReadError("another tar follows its end; take the two apart")
            return


def is_header(block: bytes) -> bool:
    """Is it a tar header with a right checksum? All tars begin with one, not all have the magic."""
    if len(block) < tarfile.BLOCKSIZE or not block.strip(b"\0"):
        return False
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True
