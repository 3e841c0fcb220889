"""Runs a script as __main__ under a guard: what it opens in the repository or the run's directory must be declared.

`python stemma/guard.py POLICY SCRIPT ARGUMENTS...`, started by stemma/child.py. An undeclared file (a module outside
the closure, a data file that no DATA_FILES names, another rule's artifact) and a connection beyond this machine end the
process at once with one error line. Python's audit events are watched, so what native code or a child process opens is
not seen. Stands alone: imports nothing of the engine.
"""

import json
import os
import runpy
import sys

OUTSIDE = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")
INET = (2, 10)  # AF_INET, AF_INET6
DECLARE = "declare it as an input of the rule or, if it belongs to the code, in the module's DATA_FILES"
IMPORT = "its closure does not hold it; import it by name, at the top of a module"


def main() -> None:
    """Install the guard, then become the script."""
    policy, script = json.loads(sys.argv[1]), sys.argv[2]
    sys.argv = sys.argv[2:]
    sys.path[0] = os.path.dirname(script)
    if not policy["network"]:  # what is fetched is pinned by its digest, wherever it came from
        sys.addaudithook(watch(policy, script))
    runpy.run_path(script, run_name="__main__")


def watch(policy: dict, script: str):
    """The audit hook of a policy: {"zones": [...], "files": [...], "trees": [...], "network": bool}.

    All paths are absolute. Within `zones` a path may be opened if it is one of `files` or below one of `trees`; outside
    everything may.
    """
    zones, trees = tuple(policy["zones"]), tuple(policy["trees"])
    files = {*policy["files"], os.path.abspath(__file__)}  # itself: a traceback shows its lines
    here = os.getcwd()

    def hook(event: str, arguments: tuple) -> None:
        if event == "open":
            path = arguments[0]
            if isinstance(path, int) or path is None:
                return
            path = os.path.normpath(os.path.join(here, os.fsdecode(path)))
            if not below(path, zones) or path in files or below(path, trees):
                return
            if path.endswith(".pyc"):  # __pycache__/name.cpython-311.pyc stands for name.py
                folder, name = os.path.split(path)
                path = os.path.join(os.path.dirname(folder), name.split(".")[0] + ".py")
                if path in files:
                    return
            if path.endswith(".py"):
                refuse(f"{script} loads {os.path.relpath(path, here)}, but {IMPORT}")
            refuse(f"{script} opens {os.path.relpath(path, here)}, which nobody declared; {DECLARE}")
        elif event in OUTSIDE:
            host = destination(event, arguments)
            if host is not None and not host.startswith(LOOPBACK):
                refuse(
                    f"{script} reaches out to {host}, but its result may depend on its inputs alone; "
                    "fetch with the rule `fetch`, or declare NETWORK = True in the module and pin what comes by sha256"
                )

    return hook


def below(path: str, trees: tuple[str, ...]) -> bool:
    """Is the path one of these directories, or in one?"""
    return any(path.startswith(tree) and path[len(tree) : len(tree) + 1] in ("", "/") for tree in trees)


def destination(event: str, arguments: tuple) -> str | None:
    """The host that a socket event is about; None for sockets within this machine."""
    if event in ("socket.connect", "socket.sendto"):
        socket, address = arguments[0], arguments[1]
        return str(address[0]) if socket.family in INET and isinstance(address, tuple) else None
    host = arguments[0]
    return os.fsdecode(host) if host else None


def refuse(message: str) -> None:
    """End the process now: an exception could be swallowed by the very code that is to be stopped."""
    sys.stderr.write(f"error: {message}\n")
    sys.stderr.flush()
    os._exit(2)


if __name__ == "__main__":
    main()
