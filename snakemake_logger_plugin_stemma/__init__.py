"""Snakemake's door for those who speak for it: it imports every package of this kind of name when it is started.

Through it the engine is heard before a workflow is read, when a config file is missing or broken (stemma/mishaps.py),
and `snakemake --logger stemma` shows what matters alone, as the profiles do (stemma/terse.py). Nothing else lies here:
jobs never import it.
"""

from stemma.mishaps import explain_early
from stemma.terse import LogHandler

__all__ = ["LogHandler"]

explain_early()
