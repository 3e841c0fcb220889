"""Look at the machine, its packages, disks and permissions before a build does: one line for each, and what to do.

    stemma doctor

`fine`: nothing to do. `note`: a build goes on, and something is worth knowing. `stop`: a build would end there; then
the exit status is 1. Asks no network, and nothing of the config but where the last build in this directory kept things.
"""

import argparse
import json
import sys
from dataclasses import asdict

from stemma.base.colour import coloured
from stemma.base.errors import printable
from stemma.doctor.examine import examine
from stemma.doctor.finding import FINE, NOTE, STOP, Finding

COLOURS = {FINE: "green", NOTE: "yellow", STOP: "red"}


def options(parser: argparse.ArgumentParser) -> None:
    """In what form."""
    parser.add_argument("--json", action="store_true", help="the findings as one JSON array")


def handle(parsed: argparse.Namespace) -> None:
    """Each finding as soon as it is there."""
    found = []
    for finding in examine():
        found.append(finding)
        if not parsed.json:
            print(line(finding), flush=True)
    if parsed.json:
        print(json.dumps([asdict(finding) for finding in found]))
    if any(finding.level == STOP for finding in found):
        sys.exit(1)


def line(finding: Finding) -> str:
    """For people."""
    level = coloured(f"{finding.level:<5}", COLOURS[finding.level], sys.stdout)
    return f"{level} {finding.topic:<16} {printable(finding.text)}"
