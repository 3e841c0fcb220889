"""Print the record of an artifact: what it was made from, how, when, at what cost."""

import argparse
import json
from pathlib import Path

from stemma.catalogue import artifact_at
from stemma.errors import printable
from stemma.settings import Settings
from stemma.trust import Records


def options(parser: argparse.ArgumentParser) -> None:
    """The artifact."""
    parser.add_argument("target", type=Path, help="its path, e.g. results/models/dpo/manifest.json, or the directory")


def handle(parsed: argparse.Namespace) -> None:
    """The record as indented JSON."""
    item = artifact_at(parsed.target, Records.of(Settings.here()))
    print("\n".join(map(printable, json.dumps(item.record, indent=2, ensure_ascii=False).split("\n"))))
