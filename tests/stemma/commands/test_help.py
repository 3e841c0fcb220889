"""Every command says what it does, what each option is for, and shows one call of it."""

import argparse
import subprocess
import sys

import pytest

from stemma.__main__ import parser

TOP = parser(None)
COMMANDS = next(action for action in TOP._actions if isinstance(action, argparse._SubParsersAction)).choices
INTERNAL = {"run", "job"}  # rules and tickets call these, with options of their own


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_its_sentence(name: str):
    missing = [action.dest for action in COMMANDS[name]._actions if not action.help]
    assert missing == []


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - INTERNAL))
def test_every_command_shows_a_call(name: str):
    calls = [line for line in COMMANDS[name].description.splitlines() if line.startswith(f"    stemma {name}")]
    assert calls, f"{name} shows no call"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_has_a_line_for_it(name: str):
    assert COMMANDS[name].description.splitlines()[0].endswith(".")


def test_bash_completes_commands_and_options(tmp_path):
    script = tmp_path / "stemma.bash"
    script.write_text(subprocess.check_output([sys.executable, "-m", "stemma", "completion", "bash"], text=True))
    for words, expected in ((["stemma", "lin"], "lineage"), (["stemma", "why", "--aft"], "--after")):
        said = subprocess.check_output(
            ["bash", "-c", f'. {script}; COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}; '
             '$(complete -p stemma | sed -E "s/.*-F ([^ ]+).*/\\1/") stemma; echo "${COMPREPLY[@]}"'], text=True
        )  # fmt: skip
        assert expected in said.split()
