"""Write the run as a Provenance Run Crate (RO-Crate) from its records.

    stemma crate results/crate Snakefile rules/*.smk

The directory gets ro-crate-metadata.json and the workflow's files; artifacts are named where they lie, with digests.
"""

import argparse
from pathlib import Path

from stemma.base.settings import Settings
from stemma.provenance.crate.write import write_crate
from stemma.provenance.trust import Records


def options(parser: argparse.ArgumentParser) -> None:
    """Add where to write, and the workflow's files."""
    parser.add_argument("root", type=Path, help="the crate's directory; ro-crate-metadata.json goes there")
    parser.add_argument("workflow", type=Path, nargs="+", help="the Snakefile, then the files it includes")


def handle(parsed: argparse.Namespace) -> None:
    """Write the crate, see stemma/provenance/crate/write.py."""
    write_crate(Records.of(Settings.here()), parsed.root, parsed.workflow)
