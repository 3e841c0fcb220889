"""Write the HTML page of a run from its records.

    stemma report report/poster.yaml results/report/index.html

The page holds all that it shows and loads nothing.
"""

import argparse
from pathlib import Path

from stemma.base.settings import Settings
from stemma.report.page import write_report


def options(parser: argparse.ArgumentParser) -> None:
    """Add the page's description, and where to write it."""
    parser.add_argument("poster", type=Path, help="its description, e.g. report/poster.yaml")
    parser.add_argument("page", type=Path, help="the file to write")


def handle(parsed: argparse.Namespace) -> None:
    """Write the page, see stemma/report/page.py."""
    write_report(Settings.here(), parsed.poster, parsed.page)
