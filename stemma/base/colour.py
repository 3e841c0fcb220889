"""Colours text on a terminal, and on nothing else. NO_COLOR, TERM=dumb and snakemake's --nocolor are respected."""

import os
import sys
from typing import TextIO

CODES = {"red": 31, "green": 32, "yellow": 33, "cyan": 36, "dim": 2, "bold": 1}


def shows_colour(stream: TextIO) -> bool:
    """Is the stream a terminal whose user wants colours? See no-color.org."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def coloured(text: str, colour: str, stream: TextIO = sys.stderr) -> str:
    """Return the text in a colour of CODES where the stream shows colours, else unchanged."""
    return f"\x1b[{CODES[colour]}m{text}\x1b[0m" if shows_colour(stream) else text
