"""Lists the members of a zip, hostile as it may be: what is stored, deflated, or packed by bzip2 or LZMA.

zipfile undoes bzip2 and LZMA a whole read at a time, whatever comes out of it: two kilobytes gave five gigabytes. So
those are undone here, piece by piece.
"""

import bz2
import contextlib
import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from typing import IO

from llm.collect.decompress import PACKED, WINDOW, Decoder, Part
from llm.collect.listing import Listing
from llm.errors import InputError

LOCAL = struct.Struct("<4s22xHH")  # signature, lengths of name and extra field
LONGEST_TARGET = 4096
BY_ZIPFILE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def list_zip(file: IO[bytes], stack: contextlib.ExitStack, listing: Listing) -> None:
    """Add the members. Raises zipfile.BadZipFile and the like for a damaged archive, InputError for one that is
    refused."""
    archive = stack.enter_context(zipfile.ZipFile(file))
    for member in archive.infolist():
        listing.count()
        name = member.filename
        if name.endswith("/"):
            continue
        mode = member.external_attr >> 16
        if member.flag_bits & 1:
            raise InputError(f"{listing.label}: member '{name}' is encrypted; pack the archive without a password")
        if stat.S_ISLNK(mode):
            small = member.file_size < LONGEST_TARGET and member.compress_type in BY_ZIPFILE
            listing.link(name, archive.read(member).decode("utf-8", "replace") if small else "/")
        elif stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise listing.refused(name, "a device or a pipe")
        else:
            listing.add(name, member.file_size, partial(opened, file, archive, member, listing.label))


def opened(file: IO[bytes], archive: zipfile.ZipFile, member: zipfile.ZipInfo, label: str) -> IO[bytes]:
    """Open a member."""
    kind = member.compress_type
    if kind in BY_ZIPFILE:
        return archive.open(member)
    if kind not in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        method = zipfile.compressor_names.get(kind, str(kind))  # type: ignore[attr-defined]
        raise InputError(
            f"{label}: member '{member.filename}' is packed by the method {method}, which nothing here reads; "
            "pack the archive again with deflate"
        )
    return Member(partial(begun, file, member), member)  # type: ignore[return-value]


def begun(file: IO[bytes], member: zipfile.ZipInfo) -> tuple[Part, Decoder]:
    """Return a member's packed bytes and what undoes them."""
    file.seek(member.header_offset)
    signature, name, extra = LOCAL.unpack(file.read(LOCAL.size))
    if signature != b"PK\x03\x04":
        raise zipfile.BadZipFile("no member where one should begin")
    packed = Part(file, member.header_offset + LOCAL.size + name + extra, member.compress_size)
    return packed, (
        bz2.BZ2Decompressor() if member.compress_type == zipfile.ZIP_BZIP2 else lzma_decoder(packed, member.file_size)
    )


def lzma_decoder(packed: Part, size: int) -> lzma.LZMADecompressor:
    """Return the decoder that the first bytes of a member of `size` bytes ask for (APPNOTE.TXT 5.8.8). A dictionary
    larger than the member serves nothing."""
    _, _, length = struct.unpack("<BBH", packed.read(4))
    properties, dictionary = struct.unpack("<BI", packed.read(length)[:5])
    pb, rest = divmod(properties, 45)
    lp, lc = divmod(rest, 9)
    dict_size = max(4096, min(dictionary, size))
    if dict_size > WINDOW:
        raise zipfile.BadZipFile(f"a dictionary of {dictionary:,} bytes")
    chain = [{"id": lzma.FILTER_LZMA1, "lc": lc, "lp": lp, "pb": pb, "dict_size": dict_size}]
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=chain)


class Member:
    """A member that a decoder undoes: no more than its size, and with its checksum."""

    def __init__(self, begin: Callable[[], tuple[Part, Decoder]], member: zipfile.ZipInfo) -> None:
        self.begin, self.member = begin, member
        self.seek(0)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to the beginning; of the end only its place is told."""
        if whence == os.SEEK_END:
            return self.member.file_size
        self.packed, self.decoder = self.begin()
        self.left, self.sum = self.member.file_size, 0
        return 0

    def read(self, size: int = PACKED, /) -> bytes:
        size, data = min(size, self.left), b""
        while size and not data:
            more = self.packed.read(PACKED) if self.decoder.needs_input else b""
            if self.decoder.eof or (not more and self.decoder.needs_input):
                raise EOFError(f"member '{self.member.filename}' ends too early")
            data = self.decoder.decompress(more, size)
        self.left -= len(data)
        self.sum = zlib.crc32(data, self.sum)
        if not self.left and self.sum != self.member.CRC:
            raise zipfile.BadZipFile(f"bad CRC-32 for member '{self.member.filename}'")
        return data

    def __enter__(self) -> "Member":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.packed.close()
