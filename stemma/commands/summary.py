"""Print what was built: artifacts, sizes, digests, key figures."""

import argparse

from stemma.settings import Settings
from stemma.store import Store
from stemma.summary import print_summary


def options(parser: argparse.ArgumentParser) -> None:
    """What to list; without options every artifact."""
    parser.add_argument("--target", action="append", default=[], help="an artifact to list")
    parser.add_argument("--figure", action="append", default=[], metavar="LABEL=TARGET:METRIC")
    parser.add_argument("--hint", action="append", default=[], help="a line to end with")


def handle(parsed: argparse.Namespace) -> None:
    """See stemma/summary.py."""
    print_summary(Store.of(Settings.here()), parsed.target, parsed.figure, parsed.hint)
