"""Pieces that stand for one byte, as SentencePiece and those who follow it spell them: <0xE2>."""

import re

BYTE_PIECE = re.compile("<0x([0-9A-F]{2})>")


def byte_of(piece: str) -> bytes | None:
    """Return the byte that a piece stands for; None for any other piece."""
    match = BYTE_PIECE.fullmatch(piece)
    return bytes.fromhex(match[1]) if match else None
