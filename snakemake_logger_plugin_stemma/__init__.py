"""Snakemake's door for those who speak for it: it imports every package of this kind of name when it is started.

Through it the engine is heard before a workflow is read, when a config file is missing or broken
(stemma/workflow/read_errors.py), and `snakemake --logger stemma` shows what matters alone, as the profiles do
(stemma/workflow/log_filter.py). Nothing else lies here: jobs never import it.
"""

from stemma.workflow.log_filter import LogHandler
from stemma.workflow.read_errors import explain_early

__all__ = ["LogHandler"]

explain_early()
