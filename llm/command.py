"""A command line for a script, made from the signature of its `main`.

Paths and strings are taken as they are, everything else is JSON. An argument that is a dataclass (a slice of the
config, see llm/settings.py) is one option of JSON, and an option for each of its fields that has no other argument's
name, which count more. What `main` returns is printed as one JSON line on stdout: the metrics. An InputError becomes
one line on stderr and exit status 2, Stopped one and exit status 75. Fields of Surroundings default to what the
environment says. Knows nothing of caching or records.
"""

import argparse
import inspect
import json
import os
import sys
import typing
from collections.abc import Callable, Collection
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from llm.errors import InputError, Stopped
from llm.settings import default_of, hints_of, made, sentences, takes_none, without_none

STOPPED = 75  # EX_TEMPFAIL of sysexits.h: run it again
HELP = ("-h", "--help")


@dataclass(frozen=True)
class Surroundings:
    """Where and how long a job may work: what its result does not depend on. The environment says it, in STEMMA_SCRATCH
    and so on."""

    scratch: Path | None = None
    """What an interrupted run left, and goes on from: the same directory again."""
    logs: Path | None = None
    """For live telemetry."""
    time_limit: float | None = None
    """Minutes until it stops in peace; 0: none."""
    hang_seconds: float | None = None
    """Without a step, until it ends; 0: never."""
    nodes: int = 1
    """Of the Slurm job, over which the ranks are spread; without one they all run here."""


def command(main: Callable[..., dict], arguments: list[str] | None = None) -> None:
    """Parse `arguments` (default: the process's own), call `main` with them, and print what it returns as JSON."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parsed = parser(main, any(text in HELP for text in arguments)).parse_args(arguments)
    try:
        metrics = main(**called(main, vars(parsed)))
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


def called(main: Callable[..., dict], given: dict) -> dict:
    """Make the arguments of `main` of the given options. Raises InputError for a slice that lacks a key or has a wrong
    value."""
    hints = typing.get_type_hints(main)
    found = {}
    for name in inspect.signature(main).parameters:
        if not is_dataclass(hints[name]):
            found[name] = given[name]
            continue
        places = {each.name: f"{name}.{each.name}" for each in fields(hints[name])}
        own = {option: given[place] for option, place in places.items() if place in given}
        values = given.get(name, {})
        found[name] = made(hints[name], values | own if isinstance(values, dict) else values)
    return found


def parser(main: Callable[..., dict], explained: bool = True) -> argparse.ArgumentParser:
    """Make a parser with an `--option` per argument of `main`, and per field of a slice. The help text, from the
    docstrings of main and of the fields, is put together only if it is asked for."""
    result = Parser(
        description=inspect.getdoc(main), formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    result.epilog = f"{result.in_the_workflow}."
    hints = typing.get_type_hints(main)
    for name, argument in inspect.signature(main).parameters.items():
        if is_dataclass(hints[name]):
            add_slice(result, name, hints[name], explained, hints.keys())
        else:
            required = argument.default is inspect.Parameter.empty
            said = "" if required else f"default: {argument.default!r}"
            default = None if required else argument.default
            add(result, name, name, hints[name], said, required=required, default=default)
    return result


def add_slice(
    result: argparse.ArgumentParser, name: str, kind: type, explained: bool, taken: Collection[str] = ()
) -> None:
    """Add an option for the whole slice, and one for each of its fields whose name is not taken."""
    add(result, name, name, dict, "all that follows, as one JSON object", default=argparse.SUPPRESS)
    said = sentences(kind) if explained else {}
    for each in fields(kind):
        if each.name in taken:
            continue
        default = default_of(each)
        text = said.get(each.name, "")
        if default is not MISSING and not is_dataclass(default):
            text += f" default: {default!r}"
        value = os.environ.get(f"STEMMA_{each.name.upper()}") if kind is Surroundings else None
        hint = hints_of(kind)[each.name]
        add(result, each.name, f"{name}.{each.name}", hint, text, default=argparse.SUPPRESS if value is None else value)


def add(result: argparse.ArgumentParser, option: str, place: str, hint: object, said: str, **how: Any) -> None:
    """Add one option, whose value is kept as `place`."""
    kind = without_none(hint)
    result.add_argument(
        f"--{option.replace('_', '-')}",
        dest=place,
        type=optional(reader(kind)) if takes_none(hint) else reader(kind),
        nargs="*" if kind == list[Path] else None,
        metavar=getattr(kind, "__name__", str(kind)).upper(),
        help=said.strip().replace("%", "%%") or None,
        **how,
    )


def optional(read: Callable[[str], object]) -> Callable[[str], object]:
    """Make a reader that takes the text `null` for None, where None is allowed."""
    return lambda text: None if text == "null" else read(text)


def reader(kind: object) -> Callable[[str], object]:
    """Return the function that turns an option's text into a value of type `kind`."""
    if kind in (Path, list[Path]):
        return Path
    texts = typing.get_origin(kind) is typing.Literal and all(isinstance(value, str) for value in typing.get_args(kind))
    return str if kind is str or texts else json.loads


class Parser(argparse.ArgumentParser):
    """Tells a wrong command line in one line, with the call that needs none: the rule of the script's name."""

    @property
    def in_the_workflow(self) -> str:
        return f"`snakemake {self.prog.removesuffix('.py')}` runs this script with all that it needs"

    def error(self, message: str) -> typing.NoReturn:
        print(f"error: {self.prog}: {message}; {self.in_the_workflow}, --help explains", file=sys.stderr)
        sys.exit(2)
