"""Starts `python -m snakemake` for the tests in a fork of a process that has loaded it already.

Of 1.5 s of CPU that a start with nothing to do costs, 1.2 s go to loading, and the tests start it hundreds of times.
The fork is a process of its own, with its own directory, variables and streams, that runs the module from its first
line, as a new interpreter would; what Snakemake starts in turn is started anew. Nothing of this repository is loaded
before the fork. The build of tests/conftest.py is by a new interpreter.

This file is both ends: `run` asks, and the file run by itself is the server, one for each process of pytest.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

# Loaded before the fork: what Snakemake and this project's Snakefile load of others' code.
PRELOADED = (
    "snakemake.cli", "snakemake.profiles", "snakemake.report.html_reporter", "smart_open", "jinja2",
    "packaging.requirements", "cryptography.hazmat.primitives.serialization",
)  # fmt: skip
# Read by the interpreter or by libraries as they are loaded: with another value, a new interpreter is started.
AT_START = ("HOME", "LANG", "PYTHON", "TMPDIR", "USER", "XDG_")


def run(command: list[str], cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    """What subprocess.run(command, capture_output=True, text=True) returns. command: `python -m snakemake ...`."""
    variables = dict(os.environ) if env is None else env
    command = [str(word) for word in command]
    server, started_with = server_of_this_process()
    if command[:3] != [sys.executable, "-m", "snakemake"] or at_start(variables) != started_with:
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert server.stdin and server.stdout
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as error:
        asked = {
            "arguments": command[3:], "cwd": str(cwd), "env": variables,
            "streams": [f"/proc/{os.getpid()}/fd/{stream.fileno()}" for stream in (output, error)],
        }  # fmt: skip
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        output.seek(0)
        error.seek(0)
        return subprocess.CompletedProcess(command, status, output.read(), error.read())


@cache
def server_of_this_process() -> tuple[subprocess.Popen, dict[str, str]]:
    """The server, started now, and the variables of AT_START that it has."""
    server = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.communicate)  # which ends its standard input, and so the server
    return server, at_start(dict(os.environ))


def at_start(variables: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name.startswith(AT_START)}


def serve() -> None:
    """Answer each line of standard input, a command, by its exit status. Returns in a fork that is to run one."""
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()
    for line in sys.stdin:
        asked = json.loads(line)
        if not (process := os.fork()):
            become(asked)
            return
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
    sys.exit()


def become(asked: dict) -> None:
    """Give this process the directory, variables, streams and arguments that a new one would have been started with."""
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.path[0] = asked["cwd"]
    sys.argv[1:] = asked["arguments"]
    for stream, name in enumerate((os.devnull, *asked["streams"])):
        file = os.open(name, os.O_RDWR | os.O_APPEND)
        os.dup2(file, stream)
        os.close(file)
    sys.stdin = open(0)  # noqa: PTH123, SIM115


if __name__ == "__main__":
    serve()
    runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
