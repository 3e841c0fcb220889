"""Escapes a literal '▁' (U+2581), by which SentencePiece writes a space, so that it is not lost.

The escape is part of tokenizer.model (its normalization and denormalization rules) and of tokenizer.json (its
normalizer and decoder), so every reader of either restores every text. The kernels are given escaped text.
"""

from pathlib import Path

SPACE = "▁"  # SentencePiece's space inside a piece
MARK = "\ufdd0"  # begins an escape; a noncharacter, which text for interchange does not contain (Unicode 23.7)
ESCAPES = ((MARK, MARK + "1"), (SPACE, MARK + "0"))  # applied in this order, undone in reverse


def escaped(text: str) -> str:
    for plain, escape in ESCAPES:
        text = text.replace(plain, escape)
    return text


def rule_files(directory: Path) -> tuple[Path, Path]:
    """Write the escapes as SentencePiece's rules to `directory`/escape.tsv and, reversed, to unescape.tsv; return
    both."""
    there, back = directory / "escape.tsv", directory / "unescape.tsv"
    there.write_text("".join(f"{points(plain)}\t{points(escape)}\n" for plain, escape in ESCAPES), encoding="ascii")
    back.write_text("".join(f"{points(escape)}\t{points(plain)}\n" for plain, escape in ESCAPES), encoding="ascii")
    return there, back


def points(text: str) -> str:
    return " ".join(f"{ord(character):X}" for character in text)
