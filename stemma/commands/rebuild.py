"""Build targets again from nothing, in a clean directory past the cache, and compare every artifact with what is here.

    stemma rebuild results/tokenizer/vocab.json --keep-downloads

Exit status 0: all equal, byte for byte; 1: something differs, which is named; 2: it could not be built or compared.
The tree is built below $TMPDIR (or /tmp) and removed afterwards, unless --directory says where to keep it.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from stemma.base.errors import printable, printable_lines


def options(parser: argparse.ArgumentParser) -> None:
    """Add what to build, and how."""
    parser.add_argument("target", nargs="+", help="an artifact of the last build here: its path, or its directory")
    parser.add_argument("--directory", type=Path, help="where to build and keep the tree; must be empty")
    parser.add_argument("--keep-downloads", action="store_true", help="take downloads pinned by sha256 from the store")
    parser.add_argument("--snakefile", type=Path, help="default: the one here, else the repository's")
    parser.add_argument("--cores", default="all", help="as for snakemake")


def handle(parsed: argparse.Namespace) -> None:
    """Rebuild in a temporary or given directory, see stemma/provenance/rebuild.py."""
    if parsed.directory:
        compare_in(parsed.directory, parsed)
        return
    with tempfile.TemporaryDirectory(prefix="stemma-rebuild-") as directory:
        compare_in(Path(directory), parsed)


def compare_in(directory: Path, parsed: argparse.Namespace) -> None:
    """Rebuild, print a line for each artifact, then the first difference in detail."""
    from stemma.provenance.difference import diffoscope, explain
    from stemma.provenance.rebuild import rebuild

    result = rebuild(parsed.target, directory, parsed.snakefile, parsed.cores, parsed.keep_downloads)
    for key in result.equal:
        print(printable(f"equal      {key.target}  sha256 {key.sha256[:12]}"))
    for finding in result.different:
        print(printable(f"different  {finding.key.target}  {finding.why}"))
    if not result.different:
        print(f"{len(result.equal)} artifacts built again, all equal")
        return
    first = next((finding for finding in result.different if finding.difference), None)
    if first and first.difference and first.files:
        print(printable_lines(f"\n{explain(first.difference, first.name)}"))
        if more := diffoscope(*first.files):
            print(printable_lines(f"\n{more}"))
    total = len(result.equal) + len(result.different)
    origin = result.different[0].key.target
    print(f"\n{len(result.different)} of {total} artifacts differ, the first is {printable(origin)}")
    sys.stdout.flush()
    sys.exit(1)
