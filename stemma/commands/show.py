"""Print the record of an artifact: what it was made from, how, when, at what cost.

    stemma show results/models/dpo

It is printed as the signed statement holds it, in JSON.
"""

import argparse
import json
from pathlib import Path

from stemma.base.errors import printable_lines
from stemma.base.settings import Settings
from stemma.provenance.catalogue import artifact_at
from stemma.provenance.slsa import statement_of
from stemma.provenance.trust import Records


def options(parser: argparse.ArgumentParser) -> None:
    """Add the artifact."""
    parser.add_argument("target", type=Path, help="its path, e.g. results/models/dpo/manifest.json, or the directory")


def handle(parsed: argparse.Namespace) -> None:
    """Print the record as indented JSON."""
    item = artifact_at(parsed.target, Records.of(Settings.here()))
    text = json.dumps(statement_of(item.record), indent=2, ensure_ascii=False, sort_keys=True)
    print(printable_lines(text))
