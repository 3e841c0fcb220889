"""Says what one token stands for by itself, in bytes and as text, for the project's own tokenizers and for others'.

Joined, the bytes of a text's tokens are the text's, so half a character, which is no text, is not lost. (A literal
U+2581 is: SentencePiece's tokens have it as an escape, of which no token is the whole.)
"""

from llm.tokenize.byte_level import BYTES, spelled_bytes
from llm.tokenize.byte_pieces import byte_of
from llm.tokenize.escape import ESCAPES, MARK, SPACE
from llm.tokenize.hub import HubTokenizer
from llm.tokenize.load import CONTROLS
from llm.tokenize.open import AnyTokenizer


class Spelling:
    """The tokens of a tokenizer. A control token's bytes are its name's."""

    def __init__(self, tokenizer: AnyTokenizer) -> None:
        self.tokenizer = tokenizer
        decoder = tokenizer.fast.decoder if isinstance(tokenizer, HubTokenizer) else None
        # Byte-level tokenizers spell each byte as a character; all others spell words, and bytes as <0xE2>.
        self.byte_level = decoder is not None and b'"ByteLevel"' in decoder.__getstate__()
        self.added = tokenizer.fast.get_added_tokens_decoder() if isinstance(tokenizer, HubTokenizer) else {}

    def raw(self, token: int) -> bytes:
        """Return what a token adds to a text; nothing for an id that is no token."""
        if isinstance(self.tokenizer, HubTokenizer):
            return self.raw_of_hub(self.tokenizer, token)
        if token < len(CONTROLS):
            return CONTROLS[token].encode()
        if self.tokenizer.pieces:
            return self.tokenizer.pieces[token - len(CONTROLS)]
        return piece_bytes(self.tokenizer.token(token))

    def raw_of_hub(self, tokenizer: HubTokenizer, token: int) -> bytes:
        name = tokenizer.fast.id_to_token(token) or ""
        if token in self.added:
            return name.encode()
        if self.byte_level and all(character in BYTES for character in name):
            return spelled_bytes(name)
        return piece_bytes(name)

    def text(self, token: int) -> str:
        """Return a token as text; bytes that are no text by themselves as `bytes:\\xe2`, as others' servers do."""
        raw = self.raw(token)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)


def piece_bytes(piece: str) -> bytes:
    """Return the bytes of one of SentencePiece's pieces."""
    if (byte := byte_of(piece)) is not None:
        return byte
    text = piece.replace(SPACE, " ")
    for plain, escape in reversed(ESCAPES):
        text = text.replace(escape, plain)
    return b"" if MARK in text else text.encode()  # half of an escape is no text
