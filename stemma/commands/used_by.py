"""Print every artifact that descends from a file, a digest or a source.

    stemma used-by llm/align/paired.py
    stemma used-by foldoc

By content: what has read these bytes descends from them, whichever job made them.
"""

import argparse

from stemma.base.errors import printable_lines
from stemma.base.settings import Settings
from stemma.commands.lineage import forms
from stemma.provenance.index import Index
from stemma.provenance.lineage import descendants
from stemma.store.local import Store


def options(parser: argparse.ArgumentParser) -> None:
    """Add what to look for, and the answer's form."""
    parser.add_argument(
        "word",
        metavar="FILE|DIGEST|SOURCE",
        help="an artifact, a file inside one, a code or data file, a source's file or name, or a SHA-256 (8 digits do)",
    )
    forms(parser)


def handle(parsed: argparse.Namespace) -> None:
    """Print the descendants, see stemma/provenance/lineage.py."""
    print(printable_lines(parsed.form(descendants(Index(Store.of(Settings.here())), parsed.word, parsed.all))))
