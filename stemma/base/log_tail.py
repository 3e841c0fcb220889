"""Reads the end of a log: its last lines, and the one line that best explains a failure."""

import re
from pathlib import Path

TAIL = 8192  # bytes read from the end
LINES = 40
NOISE = re.compile(
    r"\[.*\]$|File \".*\", line \d+|\^+$|(srun|slurmstepd): |Complete log|Elapsed time|Exiting because|Shutting down|"
    r"At least one job|Trying to restart|"
    r"Storing output|WorkflowError:$|(Error|CalledProcessError) in |Select jobs|Execute \d+ jobs|Removing output|"
    r"Finished jobid|\d+ of \d+ steps|(input|output|log|jobid|shell|resources|threads|wildcards|params|benchmark): |"
    r"(reason|external_jobid|host|Rule): |Command '.*returned non-zero|\(command exited|\(one of the commands"
)


def last_lines(log: Path, count: int) -> list[str]:
    """Return the last `count` non-empty lines of a log; none where it cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    said = [line for line in text.splitlines() if line.strip()]
    return said[-count:] if count else []


def telling(log: Path) -> str | None:
    """Return the last line that explains something, skipping those which only say that something else has failed; None
    if there is no such line."""
    said = [line.strip() for line in last_lines(log, LINES) if not NOISE.match(line.strip())]
    return said[-1] if said else None
