"""Print what a shell needs to complete commands, their options and files.

    stemma completion bash > ~/.local/share/bash-completion/completions/stemma
    stemma completion zsh > ~/.zfunc/_stemma

A shell that is opened after it knows them.
"""

import argparse

import shtab


def options(parser: argparse.ArgumentParser) -> None:
    """Add the shell."""
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="the shell that is to complete")


def handle(parsed: argparse.Namespace) -> None:
    """Print the completion script."""
    from stemma.__main__ import parser  # which imports this module

    top = parser(None)
    top.prog = "stemma"
    commands = next(action for action in top._actions if isinstance(action, argparse._SubParsersAction))
    for command in commands.choices.values():
        for action in command._actions:
            if not action.option_strings and action.choices is None:  # an artifact, a file, a directory
                action.complete = shtab.FILE
    print(shtab.complete(top, shell=parsed.shell))
