"""Print what a script's result depends on in code: modules, data files, distributions.

    stemma closure scripts/align/paired.py

Each comes with a digest of its meaning, in which comments, docstrings and layout have no part.
"""

import argparse
from pathlib import Path

from stemma.base.settings import ROOT
from stemma.code.closure import closure_of


def options(parser: argparse.ArgumentParser) -> None:
    """Add the script."""
    parser.add_argument("script", type=Path, help="scripts/<stage>/<rule>.py")


def handle(parsed: argparse.Namespace) -> None:
    """Print a line for each part: its digest or version, and its name."""
    script = parsed.script.resolve()
    closure = closure_of(script.relative_to(ROOT) if script.is_relative_to(ROOT) else parsed.script, ROOT)
    for name, sha256 in {**closure.modules, **closure.data_files}.items():
        print(f"{sha256[:12]}  {name}")
    for name, version in closure.distributions.items():
        print(f"{'':12}  {name}=={version}")
    print(f"{closure.key[:12]}  (the whole)")
