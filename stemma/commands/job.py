"""Do on a node what a build has submitted (what the job's script there calls)."""

import argparse
import sys
from pathlib import Path

from stemma.cluster.ticket import read, work


def options(parser: argparse.ArgumentParser) -> None:
    """Add the ticket that stemma/workflow/ticketing.py has written."""
    parser.add_argument("ticket", type=Path, help="what the submitting snakemake has written for this job")
    parser.add_argument("--patience", type=float, default=60, metavar="SECONDS", help="until the ticket shows")


def handle(parsed: argparse.Namespace) -> None:
    """Do the ticket's jobs, see stemma/cluster/ticket.py."""
    sys.exit(work(read(parsed.ticket, parsed.patience), parsed.ticket))
