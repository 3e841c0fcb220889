"""Write the HTML page of a run from its records."""

import argparse
from pathlib import Path

from stemma.report import write_report
from stemma.settings import Settings
from stemma.store import Store


def options(parser: argparse.ArgumentParser) -> None:
    """Where to write, what to show first."""
    parser.add_argument("page", type=Path, help="the file to write")
    parser.add_argument("--figure", action="append", default=[], metavar="LABEL=TARGET:METRIC")


def handle(parsed: argparse.Namespace) -> None:
    """See stemma/report.py."""
    write_report(Store.of(Settings.here()), parsed.page, parsed.figure)
