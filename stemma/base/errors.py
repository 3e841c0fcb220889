"""What the engine says when it cannot go on, and how it warns when it can."""

import errno
import json
import sys
import unicodedata


def no_space(where: str | None = None) -> str:
    """Return the error line for a full disk; `where` is the path that could not be written."""
    place = f" ({where})" if where else ""
    return f"no space left on the device{place}; free some and run again, nothing is lost"


def reason(error: OSError) -> str:
    """What the system says of an error, as a part of a line."""
    return (error.strerror or str(error)).lower()


def refusal(error: OSError) -> str | None:
    """Return the error line for what a file system refuses; None for an error that only a bug in the program
    explains."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return no_space(error.filename)
    if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        return f"{(error.filename or 'a file')[:80]}: {reason(error)}; name another place in the config"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        place = error.filename or "a file"
        return f"{place}: {reason(error)}; make it writable, or name another directory in the config"
    if error.errno in (errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY):
        return f"{error.filename2 or error.filename or 'a file'}: {reason(error)}; move it away and run again"
    return None


def printable(text: str) -> str:
    """Return a line that is safe to print: characters that control a terminal or change the direction of text are
    escaped as in JSON, because any line may quote what others wrote. Spaces of all kinds stay."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or unicodedata.category(one) == "Zs" else json.dumps(one)[1:-1] for one in text
    )


def printable_lines(text: str) -> str:
    """Return a text with each of its lines safe to print."""
    return "\n".join(map(printable, text.split("\n")))


def warn(text: str) -> None:
    """Print one line to stderr about something that does not stop the build."""
    print(f"warning: {printable(text)}", file=sys.stderr, flush=True)


class StemmaError(Exception):
    """An error for the user, in one line: what is wrong, where, and what to do."""


class Outdated(StemmaError):
    """What a job was to be made from has changed or gone since snakemake planned it; a retry within the same run cannot
    help."""

    ADVICE = "run snakemake again"

    def __init__(self, what: str):
        super().__init__(f"{what} after this snakemake began; {self.ADVICE}")
