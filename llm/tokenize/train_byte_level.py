"""Trains byte-level BPE (Sennrich et al. 2016) with rustbpe.

It counts the words that a pattern finds in texts, as UTF-8, and makes pieces of the pairs of neighbours that are most
frequent in them. The pieces depend on the words' counts and rustbpe's version; not on threads or on the order of texts.
"""

from collections.abc import Iterable, Iterator

import rustbpe

from llm.errors import InputError
from llm.tokenize.byte_level import PATTERN

LONGEST = 1 << 16  # characters: over a run of millions of blanks the pattern's search would overflow its stack
TEXTS = 1024  # of at most LONGEST characters, whose words are counted at once
SPARE = 64  # pieces: two ways to make the same bytes (a + aa, aa + a) are two pieces to rustbpe, and one here


def train_bytes(
    texts: Iterable[str], *, vocab_size: int, first_id: int, pattern: str = PATTERN, at_most: bool = False
) -> list[bytes]:
    """Train; return the pieces from id `first_id` on, `vocab_size` - `first_id` of them: the 256 bytes, then those
    learned.

    pattern: what is a word; no piece reaches across two. Raises InputError when the texts do not support so many,
    unless `at_most` allows fewer.
    """
    size = vocab_size - first_id
    if size < 256:
        raise InputError(f"tokenizer.vocab_size: {vocab_size} is too small; set it to at least {first_id + 256}")
    trainer = rustbpe.Tokenizer()
    trainer.train_from_iterator(cut(texts), size + SPARE, buffer_size=TEXTS, pattern=pattern)
    pieces = list(dict.fromkeys(bytes(piece) for piece, _ in trainer.get_mergeable_ranks()))[:size]
    if len(pieces) == 256:
        raise InputError("the training split holds no text for the tokenizer; check the sources and filters")
    if len(pieces) < size and not at_most:
        raise InputError(
            f"tokenizer.vocab_size: {vocab_size} is more than the training text supports; "
            f"set it to at most {first_id + len(pieces)}, or add text"
        )
    return pieces


def cut(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for begin in range(0, len(text), LONGEST):
            yield text[begin : begin + LONGEST]
