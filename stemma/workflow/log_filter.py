"""Filters Snakemake's log to one line per job and one line per error, when the profile asks Snakemake to be quiet.

Instead of Snakemake, stemma/workflow/terminal.py reports and, for jobs that fail elsewhere, stemma/cluster/job_log.py.
"""

import logging
import os
import re
import sys
from typing import Any

from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.base import LogHandlerBase

from stemma.workflow.read_errors import missing_input

NOISE = ("CalledProcessError in file", "At least one job did not complete", "Exiting because", "Shutting down")
SLURM_NOISE = (  # of Slurm's executor; the engine reports the last two itself (stemma/cluster/job_log.py)
    "No SLURM account",
    "MinJobAge",
    "No account was given",
    "Unable to guess SLURM account",
    "Exception in run_job",
    "A Job preemption",
)
KEPT = ("Nothing to be done",)
SYSTEM = re.compile(r"(?:OS|Permission)Error: \[Errno \d+\] (?P<what>[^:]+): '(?P<file>[^']+)'")
FRAME = re.compile(r"\w*(Error|Exception)( in (file|rule) .*)?:|Error:|Wildcards:")
LABEL = re.compile(r"^(\w*(Error|Exception): )+")


def be_terse(workflow) -> None:
    """Filter Snakemake's stream handlers if it was asked to be quiet about rules; its log file stays complete.
    --verbose overrides a profile's quiet."""
    settings = workflow.output_settings
    handlers: list[Any] = list(logging.getLogger("snakemake.logging").handlers)
    for handler in handlers:
        if handler.name != "DefaultStreamHandler":
            continue
        handler.nocolor |= bool(os.environ.get("NO_COLOR"))
        if settings.verbose:
            for part in (*handler.filters, handler.formatter):
                part.quiet = set()
        elif Quietness.RULES in (settings.quiet or ()):
            handler.addFilter(one_line)


def one_line(record: logging.LogRecord) -> bool:
    """Drop what the runner has said already; turn an error into `error: what, where, what to do`."""
    text = record.getMessage()
    if record.levelno < logging.WARNING:
        return text.startswith(KEPT)
    if any(noise in text for noise in NOISE + SLURM_NOISE):
        return False
    if record.levelno >= logging.ERROR and not text.startswith("error: "):
        record.msg, record.args = f"error: {missing_input(text) or essence(text)}", ()
    return True


def essence(text: str) -> str:
    """Return an exception's message without its class, its place in the Snakefile and the frames around it. If it is
    nothing but frames, which only a bug in the program explains, return the end."""
    lines = []
    for line in map(str.strip, text.strip().splitlines()):
        if line.startswith(('File "', "Traceback")):
            break
        if line and not FRAME.fullmatch(line):
            lines.append(LABEL.sub("", line))
    last = text.strip().splitlines()[-1:] or ["no message"]
    system = SYSTEM.match(last[0])
    if system and not lines:  # a disk, a directory or their owner is to blame
        return f"{system['file']}: {system['what']}; make room or give write access there, or name another --directory"
    return " ".join(lines) or f"{last[0]} (a mistake in the program; --verbose shows where)"


class LogHandler(LogHandlerBase):
    """The handler of `snakemake --logger stemma`, for profiles that do not ask for quiet: it prints what `be_terse`
    keeps."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record on the terminal if it matters."""
        if one_line(record):
            print(record.getMessage(), file=sys.stderr, flush=True)
