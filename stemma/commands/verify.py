"""Check signatures, digests and the chain of records, of one artifact with its ancestors or of the build in results/.

    stemma verify
    stemma verify results/models/dpo

Exit status 0: all is as recorded. 1: something was edited, forged, damaged or lost; each such thing is one line.
What is merely out of date (an edited source, a parent that was built anew) is mentioned and changes nothing.
"""

import argparse
import json
import sys
from pathlib import Path

from stemma.base.errors import printable
from stemma.base.settings import Settings
from stemma.provenance.verify import Findings, verify


def options(parser: argparse.ArgumentParser) -> None:
    """Add what to check, and the output's form."""
    parser.add_argument(
        "target", nargs="*", type=Path, help="artifacts, e.g. results/models/dpo; none: the build in results/"
    )
    parser.add_argument("--all", action="store_true", help="also what is not of this build: what another config left")
    parser.add_argument("--json", action="store_true", help="the findings as one JSON object")


def handle(parsed: argparse.Namespace) -> None:
    """Print the findings, see stemma/provenance/verify.py; exit with 1 if there are faults."""
    findings = verify(Settings.here(), parsed.target, parsed.all)
    print(as_json(findings) if parsed.json else as_text(findings))
    if findings.faults:
        sys.exit(1)


def as_json(findings: Findings) -> str:
    """Format the findings for programs."""
    return json.dumps(
        {
            "verified": not findings.faults,
            "artifacts": len(findings.artifacts),
            "records": len(findings.records),
            "keys": sorted(findings.keys),
            "faults": findings.faults,
            "stale": findings.stale,
            "others": findings.others,
        }
    )


def as_text(findings: Findings) -> str:
    """Format the findings for people: each fault and each note on a line, the counts on the last."""
    lines = [f"fault: {text}" for text in findings.faults] + [f"stale: {text}" for text in findings.stale]
    lines += [f"note: {findings.others}; --all checks it too"] if findings.others else []
    number = len(findings.faults)
    verdict = f"{number} fault{'' if number == 1 else 's'} among" if number else "verified"
    return "\n".join(map(printable, [*lines, f"{verdict} {findings.counts}"]))
