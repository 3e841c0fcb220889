"""Byte-level BPE: its words, and tiktoken's file format, a line `base64(piece) id` a piece.

Llama 3's tokenizer.model has that format. After the control tokens the bytes have the first ids, then come the pieces
as they were learned. A pair merges whenever its result is a piece, the smallest id first, as in tiktoken.
"""

import base64
from collections.abc import Collection, Iterable, Iterator
from typing import AnyStr

from tokenizers import Regex, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as FastTokenizer

# Qwen2's words: contractions, letters with one character before them, single digits, the rest with its line ends.
PATTERN = (
    r"'(?:[sdmtSDMT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"  # GPT-2's pattern, for comparison


def to_model(pieces: list[bytes], first_id: int) -> bytes:
    return b"".join(b"%s %d\n" % (base64.b64encode(piece), i) for i, piece in enumerate(pieces, first_id))


def from_model(model: bytes, first_id: int) -> list[bytes]:
    """Parse the output of `to_model`; return the pieces. Raises ValueError for anything else."""
    pieces = []
    for number, line in enumerate(model.splitlines(), first_id):
        piece, index = line.split()
        if int(index) != number:
            raise ValueError(f"line {number - first_id + 1}: id {index.decode()}, expected {number}")
        pieces.append(base64.b64decode(piece, validate=True))
    if pieces[:256] != [bytes([byte]) for byte in range(256)]:
        raise ValueError("the 256 bytes do not come first")
    return pieces


def words(pattern: str) -> pre_tokenizers.PreTokenizer:
    """Return what cuts text into the words that a pattern finds, spelled by CHARACTERS."""
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), byte_level])


def fast_bytes(pieces: list[bytes], controls: tuple[str, ...], pattern: str = PATTERN) -> FastTokenizer:
    """Return the tokenizer for Hugging Face's `tokenizers`; the controls are in its vocabulary, but no text can spell
    them."""
    vocabulary = {token: i for i, token in enumerate([*controls, *map(spelled, pieces)])}
    fast = FastTokenizer(models.BPE(vocabulary, list(byte_merges(pieces))))
    fast.pre_tokenizer = words(pattern)
    fast.decoder = decoders.ByteLevel()
    return fast


def byte_merges(pieces: list[bytes]) -> Iterator[tuple[str, str]]:
    """Yield every way to make a piece of two pieces, in the order of ids."""
    for left, right in splits(pieces[256:], set(pieces)):
        yield spelled(left), spelled(right)


def splits(pieces: Iterable[AnyStr], known: Collection[AnyStr]) -> Iterator[tuple[AnyStr, AnyStr]]:
    """Yield every way to make each piece of two known ones."""
    for piece in pieces:
        for cut in range(1, len(piece)):
            if piece[:cut] in known and piece[cut:] in known:
                yield piece[:cut], piece[cut:]


def alphabet() -> list[str]:
    """Return GPT-2's character for each byte: printable ones stand for themselves."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) if byte in printable else chr(256 + others.index(byte)) for byte in range(256)]


CHARACTERS = alphabet()
BYTES = {character: byte for byte, character in enumerate(CHARACTERS)}


def spelled(piece: bytes) -> str:
    return "".join(CHARACTERS[byte] for byte in piece)


def spelled_bytes(token: str) -> bytes:
    return bytes(BYTES[character] for character in token)
