"""What the engine says when it cannot go on, and how it warns when it can."""

import errno
import json
import sys


def no_space(where: str | None = None) -> str:
    """The line for a full disk."""
    place = f" ({where})" if where else ""
    return f"no space left on the device{place}; free some and run again, nothing is lost"


def refusal(error: OSError) -> str | None:
    """The line for what a file system refuses; None for an error that only a mistake in the program explains."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return no_space(error.filename)
    if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        return f"{(error.filename or 'a file')[:80]}: {error.strerror.lower()}; name another place in the config"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        place = error.filename or "a file"
        return f"{place}: {error.strerror.lower()}; make it writable, or name another directory in the config"
    return None


def printable(text: str) -> str:
    """A line as a terminal may have it: characters that would act on it, or turn the direction of what follows, are
    escaped as in JSON. What others wrote may be part of any line."""
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def warn(text: str) -> None:
    """One line about something that a build survives."""
    print(f"warning: {printable(text)}", file=sys.stderr, flush=True)


class StemmaError(Exception):
    """One line: what is wrong, where, and what to do."""


class Outdated(StemmaError):
    """What a job was asked to be made from is not there any more: another try of this snakemake's finds no other."""

    ADVICE = "run snakemake again"

    def __init__(self, what: str):
        super().__init__(f"{what} after this snakemake began; {self.ADVICE}")
