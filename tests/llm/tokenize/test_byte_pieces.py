"""Pieces that stand for a byte are told from those that look alike."""

import pytest

from llm.tokenize.byte_pieces import byte_of


@pytest.mark.parametrize("byte", range(256))
def test_every_byte(byte: int):
    assert byte_of(f"<0x{byte:02X}>") == bytes([byte])


@pytest.mark.parametrize("piece", ["", "a", "<0x>", "<0xe2>", "<0xE2", "<0xE2>>", "<0xZZ>", " <0xE2>", "<0xE2>\n"])
def test_what_looks_alike(piece: str):
    assert byte_of(piece) is None
