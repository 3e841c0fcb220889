"""Print what an artifact was made from, down to the raw bytes.

    stemma lineage results/models/dpo
    stemma lineage results/models/dpo --dot | dot -Tsvg > lineage.svg

Ancestors are those that were really read, whatever stands at their paths by now.
"""

import argparse

from stemma.base.errors import printable_lines
from stemma.base.settings import Settings
from stemma.provenance import render_tree
from stemma.provenance.index import Index
from stemma.provenance.lineage import ancestors
from stemma.store.local import Store


def options(parser: argparse.ArgumentParser) -> None:
    """Add the artifact and the answer's form."""
    parser.add_argument("target", help="an artifact, its directory, a file inside it, or a SHA-256 (8 digits do)")
    forms(parser)


def forms(parser: argparse.ArgumentParser) -> None:
    """Add the answer's form (text, JSON, Graphviz), and whether to look among all records."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", dest="form", action="store_const", const=render_tree.as_json, help="nodes and edges")
    form.add_argument(
        "--dot", dest="form", action="store_const", const=render_tree.dot, help="for Graphviz: | dot -Tsvg"
    )
    parser.add_argument("--all", action="store_true", help="look among all records of the store, not only in results/")
    parser.set_defaults(form=render_tree.text)


def handle(parsed: argparse.Namespace) -> None:
    """Print the lineage, see stemma/provenance/lineage.py."""
    print(printable_lines(parsed.form(ancestors(Index(Store.of(Settings.here())), parsed.target, parsed.all))))
