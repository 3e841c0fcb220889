"""The engine's command line: `python -m stemma COMMAND --help`. Each command is a module of stemma/commands/."""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from stemma.base.colour import coloured
from stemma.base.errors import StemmaError, printable, refusal


def main(arguments: list[str] | None = None) -> int:
    """Dispatch to a command. An error that the user can mend is one line and exit status 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parsed = parser(arguments[0] if arguments else None).parse_args(arguments)
    try:
        parsed.handle(parsed)
    except StemmaError as error:
        say(f"{getattr(parsed, 'what', '')}{error}")
        return 2
    except BrokenPipeError:  # `... | head`
        return 0
    except OSError as error:
        line = refusal(error)
        if line is None:
            raise
        say(f"{getattr(parsed, 'what', '')}{line}")
        return 2
    return 0


def say(text: str) -> None:
    """An error, in its line."""
    print(coloured("error:", "red"), printable(text), file=sys.stderr)


def parser(wanted: str | None) -> argparse.ArgumentParser:
    """All commands, or the one that is wanted alone: a job should not load what other commands need."""
    top = argparse.ArgumentParser(prog="python -m stemma", description=__doc__, allow_abbrev=False)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    names = sorted(file.stem for file in Path(__file__).with_name("commands").glob("[a-z]*.py"))
    for name in [wanted.replace("-", "_")] if wanted and wanted.replace("-", "_") in names else names:
        module = import_module(f"stemma.commands.{name}")
        assert module.__doc__ is not None, name
        summary = module.__doc__.splitlines()[0]
        command = commands.add_parser(
            name.replace("_", "-"),
            help=summary,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.options(command)
        command.set_defaults(handle=module.handle)
    return top


if __name__ == "__main__":
    sys.exit(main())
