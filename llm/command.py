"""A command line for a script, made from the signature of its `main`.

Paths and strings are taken as they are, everything else is JSON. What `main` returns is printed as one JSON line on
stdout: the metrics. An InputError becomes one line on stderr and exit status 2, Stopped one and exit status 75.
Arguments that name a place of the job rather than its work (SURROUNDINGS) default to what the environment says. Knows
nothing of caching or records.
"""

import argparse
import inspect
import json
import os
import sys
import types
import typing
from collections.abc import Callable
from pathlib import Path

from llm.errors import InputError, Stopped

# What a result does not depend on: directories for recovery and for live logs, how long to run, when to give up,
# on how many machines.
SURROUNDINGS = {
    "scratch": "STEMMA_SCRATCH",
    "logs": "STEMMA_LOGS",
    "time_limit": "STEMMA_TIME_LIMIT",
    "hang_seconds": "STEMMA_HANG_SECONDS",
    "nodes": "STEMMA_NODES",
}
STOPPED = 75  # EX_TEMPFAIL of sysexits.h: run it again


def command(main: Callable[..., dict], arguments: list[str] | None = None) -> None:
    """Parse `arguments` (default: the process's own), call `main` with them and print what it returns."""
    parsed = parser(main).parse_args(arguments)
    try:
        metrics = main(**vars(parsed))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except Stopped as stopped:
        print(f"error: {stopped}", file=sys.stderr)
        sys.exit(STOPPED)
    except OSError as error:
        if error.errno != 28:  # ENOSPC is the reader's to mend, any other is ours to explain
            raise
        print(
            f"error: no space left on the device while writing {error.filename or 'an output'}; "
            "free some and run again, nothing is lost",
            file=sys.stderr,
        )
        sys.exit(2)
    print(json.dumps(metrics, sort_keys=True))


def parser(main: Callable[..., dict]) -> argparse.ArgumentParser:
    """One `--option` per argument of `main`; its docstring is the help text."""
    result = argparse.ArgumentParser(
        description=inspect.getdoc(main), formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    hints = typing.get_type_hints(main)
    for name, argument in inspect.signature(main).parameters.items():
        hint = hints[name]
        kind = without_none(hint)
        required = argument.default is inspect.Parameter.empty
        result.add_argument(
            f"--{name.replace('_', '-')}",
            dest=name,
            type=reader(kind) if hint is kind else optional(reader(kind)),
            nargs="*" if kind == list[Path] else None,
            required=required,
            default=None if required else os.environ.get(SURROUNDINGS.get(name, ""), argument.default),
            metavar=getattr(kind, "__name__", str(kind)).upper(),
            help=f"default: {argument.default!r}".replace("%", "%%") if not required else None,
        )
    return result


def without_none(hint: object) -> object:
    """`Path | None` is read as `Path`: leaving an optional argument out means None."""
    if isinstance(hint, types.UnionType):
        return next(kind for kind in hint.__args__ if kind is not type(None))
    return hint


def optional(read: Callable[[str], object]) -> Callable[[str], object]:
    """The text `null` means None where None is allowed."""
    return lambda text: None if text == "null" else read(text)


def reader(kind: object) -> Callable[[str], object]:
    """The function that turns an option's text into a value of type `kind`."""
    if kind in (Path, list[Path]):
        return Path
    return str if kind is str else json.loads
