"""Runs a script as __main__ under a guard that stops it from opening anything undeclared in the repository or the run's
directory, and lets it find those installed packages alone that its key holds.

A copy of this file lies as sitecustomize.py in the frozen code of each job (stemma/execute/sandbox.py), its policy
beside it, so every Python process of the job is guarded before it imports anything else; `python .../sitecustomize.py
SCRIPT ...` then becomes the script. An undeclared file or directory (a module outside the closure, a data file that no
DATA_FILES names, another rule's artifact) and a connection beyond this machine end the process at once with one error
line. It watches Python's audit events, so what native code opens is not seen here. It imports nothing of the engine.
"""

import json
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

POLICY = "policy.json"
OUTSIDE = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")
INSTALLED = frozenset(("site-packages", "dist-packages"))
INET = (2, 10)  # AF_INET, AF_INET6
DECLARE = "declare it as an input of the rule or, if it belongs to the code, in the module's DATA_FILES"
BESIDE = "read it beside the module: Path(__file__).with_name(...)"
IMPORT = "its closure does not hold it; import it by name, at the top of a module"


def install() -> None:
    """Guard this process by the policy that lies beside this file."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), POLICY), "rb") as file:
        policy = json.load(file)
    zones, trees = tuple(policy["zones"]), tuple(policy["trees"])
    sys.path[:] = [path for path in sys.path if not below(path, zones) or below(path, trees)]  # from a .pth file
    if policy["network"]:  # a job with network access is not guarded: its results are pinned
        return
    hide(frozenset(policy["modules"]), frozenset(policy["distributions"]))
    sys.addaudithook(watch(policy))


def normal(name: str) -> str:
    """The normalised name of a distribution, as the policy has it."""
    return name.lower().replace("_", "-").replace(".", "-")


def is_installed(spec: ModuleSpec) -> bool:
    """Does a module lie where packages are installed, itself and not within another: not in the standard library, the
    frozen code, or among what a package brings along?"""
    folder = next(iter(spec.submodule_search_locations or ()), None)
    return os.path.basename(os.path.dirname(folder or spec.origin or "")) in INSTALLED


def hide(modules: frozenset[str], distributions: frozenset[str]) -> None:
    """Let Python find no installed module but these. setuptools' own finder would put its distutils before Python's."""
    others = [finder for finder in sys.meta_path if getattr(finder, "__module__", "") != "_distutils_hack"]
    declared = Declared(modules, distributions)
    sys.meta_path[:] = [declared if finder is PathFinder else finder for finder in others]


def become(script: str) -> None:
    """Execute a script as this process's main program."""
    main = sys.modules["__main__"] = ModuleType("__main__")
    main.__file__ = script
    code = SourceFileLoader("__main__", script).get_code(
        "__main__"
    )  # compiled beforehand, see stemma/code/frozen_code.py
    assert code is not None
    exec(code, main.__dict__)


def watch(policy: dict):
    """Return the audit hook of a policy: {"script": text, "zones": [...], "trees": [...], "code": [...], "here": path,
    "directory": path, "network": bool, "modules": [...], "distributions": [...]}.

    All paths are absolute. Within `zones` a path may be opened or listed only if it is one of `trees` or below one;
    outside everything may be. `code`: files of which the job has a frozen copy. A path below the working directory
    `here` that does not exist is reported as one in the run's `directory`.
    """
    script, here, directory = policy["script"], policy["here"], policy["directory"]
    zones, trees, code = tuple(policy["zones"]), tuple(policy["trees"]), frozenset(policy["code"])

    def meant(path: str | bytes | os.PathLike) -> str:
        path = os.path.abspath(os.fsdecode(path))
        return directory + path[len(here) :] if below(path, (here,)) and not os.path.lexists(path) else path

    def hook(event: str, arguments: tuple) -> None:
        if event in ("open", "os.listdir", "os.scandir"):
            path = arguments[0]
            if isinstance(path, int) or path is None or names_no_file(path):
                return
            path = meant(path)
            if not below(path, zones) or below(path, trees):
                return
            shown = os.path.relpath(path, directory)
            if path in code:
                refuse(f"{script} opens {shown} in the checkout, which may change while it runs; {BESIDE}")
            if path.endswith((".py", ".pyc")) or path in map(meant, sys.path):
                refuse(f"{script} loads {shown}, but {IMPORT}")
            refuse(f"{script} {'opens' if event == 'open' else 'lists'} {shown}, which nobody declared; {DECLARE}")
        elif event in OUTSIDE:
            host = destination(event, arguments)
            if host is not None and not host.startswith(LOOPBACK):
                refuse(
                    f"{script} reaches out to {host}, but its result may depend on its inputs alone; "
                    "fetch with the rule `fetch`, or declare NETWORK = True in the module and pin what comes by sha256"
                )

    return hook


def names_no_file(path: str | bytes | os.PathLike) -> bool:
    """Is it what Python calls a text that came from no file? Of a syntax error there it looks for the line."""
    name = os.fsdecode(path)
    return name.startswith("<") and name.endswith(">") and "/" not in name and not os.path.lexists(name)


def below(path: str, trees: tuple[str, ...]) -> bool:
    """Is the path one of these directories, or below one?"""
    return any(path.startswith(tree) and path[len(tree) : len(tree) + 1] in ("", "/") for tree in trees)


def destination(event: str, arguments: tuple) -> str | None:
    """Return the host that a socket event is about; None for sockets within this machine."""
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


class Declared:
    """Python's finder of modules below sys.path, but for those of installed packages that the key does not hold: an
    import behind a `try` fails as on a machine without them, a question for their version too."""

    def __init__(self, modules: frozenset[str], distributions: frozenset[str]):
        self.modules = modules
        self.distributions = distributions

    def find_spec(self, name: str, path=None, target=None) -> ModuleSpec | None:
        """What Python finds; instead of what is hidden, what it would find without it, as in a package's `_vendor`."""
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or path is not None or name in self.modules or not is_installed(spec):
            return spec
        others = [folder for folder in sys.path if os.path.basename(folder) not in INSTALLED]
        return PathFinder.find_spec(name, others, target)

    def find_distributions(self, context):
        """What `importlib.metadata` asks for, a context of its own: the same packages, each looked for by its name."""
        kind, asked = type(context), context.name
        names = self.distributions if asked is None else self.distributions & {normal(asked)}
        for name in sorted(names):
            yield from PathFinder.find_distributions(kind(name=name, path=context.path))

    def invalidate_caches(self) -> None:
        PathFinder.invalidate_caches()


if __name__ == "sitecustomize":
    install()
elif __name__ == "__main__":
    sys.argv = sys.argv[1:]
    become(sys.argv[0])
