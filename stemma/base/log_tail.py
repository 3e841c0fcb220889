"""Reads the end of a log: its last lines, and the one line that best explains a failure."""

import os
import re
from pathlib import Path

from stemma.base.untrusted_files import Unusable, check_plain, open_plain

TAIL = 65536  # bytes read from the end
LINES = 60
SHELL = " " * 8  # before the lines of a shell command that Snakemake shows
NOISE = re.compile(
    r"\[.*\]$|File \".*\", line \d+|\^+$|(srun|slurmstepd): |Complete log|Elapsed time|Exiting because|Shutting down|"
    r"At least one job|Trying to restart|RuleException:$|Activating (singularity|environment|conda)|"
    r"Storing output|WorkflowError:$|(Error|CalledProcessError) in |Select jobs|Execute \d+ jobs|Removing output|"
    r"Finished jobid|\d+ of \d+ steps|(input|output|log|jobid|resources|threads|wildcards|params|benchmark): |"
    r"shell:( |$)|message: None|(reason|external_jobid|host|Rule): |"
    r"Command '.*returned non-zero|\(command exited|\(one of the commands"
)


def last_lines(log: Path, count: int) -> list[str]:
    """Return the last `count` non-empty lines of a log; none where it cannot be read."""
    try:
        descriptor = open_plain(log)
        if descriptor is None:
            return []
        with os.fdopen(descriptor, "rb") as file:
            file.seek(max(0, check_plain(descriptor) - TAIL))
            text = file.read(TAIL).decode(errors="replace")
    except (OSError, Unusable, ValueError):  # ValueError: a name with a NUL
        return []
    said = [line for line in text.splitlines() if line.strip()]
    return said[-count:] if count else []


def telling(log: Path) -> str | None:
    """Return the last line that explains something, skipping those which only say that something else has failed; None
    if there is no such line."""
    lines = (line for line in last_lines(log, LINES) if not line.startswith(SHELL))
    said = [line.strip() for line in lines if not NOISE.match(line.strip())]
    return said[-1] if said else None
