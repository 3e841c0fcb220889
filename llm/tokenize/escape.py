"""Why a literal '▁' is not lost: SentencePiece writes a space as '▁' (U+2581), so a real one is escaped before.

The escape is part of tokenizer.model (its normalization and denormalization rules) and of tokenizer.json (its
normalizer and decoder), so every reader of either gives every text back. The kernels get escaped text.
"""

from pathlib import Path

SPACE = "▁"  # how SentencePiece writes a space inside a piece
MARK = "\ufdd0"  # begins an escape; a noncharacter, which text for interchange does not hold (Unicode 23.7)
ESCAPES = ((MARK, MARK + "1"), (SPACE, MARK + "0"))  # in this order; undone in the reverse one


def escaped(text: str) -> str:
    for plain, escape in ESCAPES:
        text = text.replace(plain, escape)
    return text


def rule_files(directory: Path) -> tuple[Path, Path]:
    """The escapes as SentencePiece's rules, there and back: `directory`/escape.tsv and unescape.tsv."""
    there, back = directory / "escape.tsv", directory / "unescape.tsv"
    there.write_text("".join(f"{points(plain)}\t{points(escape)}\n" for plain, escape in ESCAPES), encoding="ascii")
    back.write_text("".join(f"{points(escape)}\t{points(plain)}\n" for plain, escape in ESCAPES), encoding="ascii")
    return there, back


def points(text: str) -> str:
    return " ".join(f"{ord(character):X}" for character in text)
