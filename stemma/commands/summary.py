"""Print what was built: artifacts, sizes, digests, key figures.

    stemma summary --poster report/poster.yaml --target results/tokenizer/vocab.json

A run ends with it.
"""

import argparse
from pathlib import Path

from stemma.base.settings import Settings
from stemma.provenance.trust import Records
from stemma.report.summary import print_summary


def options(parser: argparse.ArgumentParser) -> None:
    """Add what to list; without options it is every artifact and no figures."""
    parser.add_argument("--poster", type=Path, help="print the headline figures of this description")
    parser.add_argument("--target", action="append", default=[], help="an artifact to list")
    parser.add_argument("--hint", action="append", default=[], help="a line to end with")


def handle(parsed: argparse.Namespace) -> None:
    """Print the summary, see stemma/report/summary.py."""
    print_summary(Records.of(Settings.here()), parsed.poster, parsed.target, parsed.hint)
