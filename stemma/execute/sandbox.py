"""The sandbox where a job's script runs: its own directory in the store's workspace, with what it is given.

    <workspace>/<output>/<number>/   where the script writes each output
    <workspace>/.inputs/             what it reads of the artifacts (stemma/execute/input_view.py)
    <workspace>/.code/               a frozen copy of its closure (stemma/code/frozen_code.py), and its guard
    <workspace>/.here/               the working directory, empty, so that no relative path finds a file
    <workspace>/.home/               HOME, empty
    <workspace>/.tmp/                TMPDIR, unless STEMMA_TMPDIR names a disk of the node

Keys are computed in stemma/execute/action.py; the process is started by stemma/execute/child.py.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from stemma.base.errors import StemmaError
from stemma.base.files import scratch_directory
from stemma.base.settings import cache_of
from stemma.code.closure import reader_of
from stemma.code.compiled_kernels import VARIABLES, Compiled
from stemma.code.frozen_code import compiled, freeze, write_code
from stemma.execute import surroundings
from stemma.execute.action import Action
from stemma.execute.confinement import Confinement
from stemma.execute.guard import POLICY
from stemma.execute.input_view import declared, lay_out
from stemma.planning.job_hash import suffix_of
from stemma.provenance.record import Job
from stemma.store import artifact
from stemma.store.open_beneath import opened

LOCAL = "STEMMA_TMPDIR"
GUARD = Path(__file__).with_name("guard.py")
STARTER = "sitecustomize.py"  # Python imports it before anything else, so every process of the job is guarded


@dataclass(frozen=True)
class Sandbox:
    """One job's sandbox. `temporary`: its TMPDIR; `inputs`: argument -> what to read, see
    stemma/execute/input_view.py; `outputs`: argument -> where to write: an empty directory for a manifest, else a
    file's path."""

    action: Action
    place: Path
    temporary: Path
    inputs: dict[str, list[Path]]
    outputs: dict[str, list[Path]]
    compiled: Compiled
    log: Path

    @staticmethod
    def of(action: Action, workspace: Path, temporary: Path, log: Path) -> "Sandbox":
        """Prepare a workspace."""
        reader, place = reader_of(action.root), workspace.absolute()
        sandbox = Sandbox(
            action,
            place,
            temporary.absolute(),
            lay_out(action.job.inputs, place),
            staged(action.job, place),
            Compiled(action.closure, reader, cache_of(action.store.path)),
            log,
        )
        freeze(action.closure, reader, sandbox.code)
        sandbox.compiled.lend(sandbox.code)
        with opened(sandbox.logs, make=True):  # it follows no link
            for folder in (sandbox.here, sandbox.home, *sandbox.confinement.own):
                folder.mkdir(parents=True, exist_ok=True)
        guard = sandbox.code / STARTER
        guard.write_bytes(GUARD.read_bytes())
        write_code(guard, compiled(GUARD.read_bytes(), guard))
        guard.with_name(POLICY).write_text(json.dumps(sandbox.confinement.policy(sandbox.script, sandbox.here)))
        return sandbox

    @property
    def cache(self) -> Path:
        """The directory of caches that jobs share."""
        return cache_of(self.action.store.path)

    @property
    def code(self) -> Path:
        """The frozen closure."""
        return self.place / ".code"

    @property
    def here(self) -> Path:
        """The working directory."""
        return self.place / ".here"

    @property
    def home(self) -> Path:
        """HOME, where libraries look for and keep their files."""
        return self.place / ".home"

    def command(self) -> list[str]:
        """Return the command to execute. Python's path has neither the script's directory nor the user's packages nor
        the working directory."""
        arguments = script_arguments(self.action.job, self.inputs, self.outputs)
        return [sys.executable, "-P", "-s", str(self.code / STARTER), str(self.code / self.script), *arguments]

    @property
    def script(self) -> str:
        """The script's path: scripts/<stage>/<rule>.py."""
        return self.action.job.script

    def environment(self) -> dict[str, str]:
        """Return all variables of the process; none is inherited unless listed. A job that fetches has the user's HOME,
        where the network, pip and apt are configured; what it keeps for another attempt is in the cache."""
        closure = self.action.closure
        home = {"XDG_CACHE_HOME": self.cache} if closure.network else {"HOME": self.home}
        # PYTHONPATH cannot quote a colon; a relative path is as good as long as the working directory stays the same.
        code = os.path.relpath(self.code, self.here) if os.pathsep in str(self.code) else self.code
        own = {"PYTHONPATH": code, "TMPDIR": self.temporary, **home, **self.kept}
        given = surroundings.given(self.action.job) | VARIABLES
        return surroundings.passed(closure) | given | {name: str(path) for name, path in own.items()}

    def recorded(self) -> dict[str, str]:
        """Return the variables as the record states them, without those that name the job's own places."""
        passed = surroundings.passed(self.action.closure)
        return surroundings.shown(passed) | surroundings.given(self.action.job)

    @cached_property
    def kept(self) -> dict[str, Path]:
        """Variable -> directory in which a script may keep something outside its outputs.

        Scratch is named by the action key and outlives a kill: what a job finds there was left by one with the same
        code, parameters and inputs. Logs lie beside the log file, for those who watch the job.
        """
        scratch = self.action.store.scratch_path(self.action.key)
        return {"STEMMA_SCRATCH": scratch.absolute(), "STEMMA_LOGS": self.logs.absolute()}

    @property
    def logs(self) -> Path:
        """The directory beside the log file, in results/."""
        return self.log.with_suffix("") if self.log.suffix else self.log.with_name(f"{self.log.name}.d")

    @property
    def confinement(self) -> Confinement:
        """What its processes may read and write."""
        cache = [self.cache] if self.action.closure.network else []
        return Confinement(self.action, (self.place, self.temporary, *self.kept.values(), *cache))

    def shown(self, line: str) -> str:
        """Rewrite a line of the script's output in the user's paths: code by its path in the checkout, inputs by their
        declared ones, files relative to the run's directory."""
        line = declared(line.replace(f"{self.code}/", f"{self.action.root}/"), self.place)
        return line.replace(f"{Path.cwd()}/", "")

    def ended_well(self) -> None:
        """Cache, for other jobs, what the script has compiled."""
        self.compiled.take_back(self.code)

    def tidy(self) -> None:
        """Remove the directories outside the workspace that the script has left empty."""
        for folder in self.kept.values():
            with contextlib.suppress(OSError):
                folder.rmdir()


@contextlib.contextmanager
def temporary_for(workspace: Path) -> Iterator[Path]:
    """TMPDIR for a job, which goes with it: in its workspace, or on a disk of the node where STEMMA_TMPDIR says so, by
    a path or by a variable that nodes set ("$SLURM_TMPDIR"; where it is not set, the workspace it is). Ranks on several
    nodes are all told the same one, so they have it in the workspace. Raises StemmaError if there is no such directory.
    """
    named = os.path.expandvars(os.environ.get(LOCAL, ""))
    if not named or "$" in named or int(os.environ.get("STEMMA_NODES") or 1) > 1:
        yield workspace / ".tmp"
        return
    if not Path(named).is_dir():
        raise StemmaError(f"{LOCAL} is {named}, which is no directory here; name one that every node has, or unset it")
    with scratch_directory(Path(named)) as folder:
        yield folder


def staged(job: Job, workspace: Path) -> dict[str, list[Path]]:
    """Make a place in the workspace for every output: an empty directory for a manifest, else the path of a file with
    the declared suffix. Returns argument -> paths."""
    found: dict[str, list[Path]] = {}
    for name, paths in job.outputs.items():
        for number, path in enumerate(map(Path, paths)):
            place = workspace / name / str(number)
            place.mkdir(parents=True)
            file = place / (name + suffix_of(path))
            found.setdefault(name, []).append(place if artifact.is_directory(path) else file)
    return found


def script_arguments(job: Job, inputs: dict[str, list[Path]], outputs: dict[str, list[Path]]) -> list[str]:
    """Return the script's command line, with the same options that a person would type."""
    values = {name: [str(path) for path in paths] for name, paths in inputs.items()}
    for name, paths in job.sources.items():
        values.setdefault(name, []).extend(str(Path(path).absolute()) for path in paths)
    values |= {name: [str(path) for path in paths] for name, paths in outputs.items()}
    for name, value in job.params.items():
        values[name] = [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)]
    arguments = []
    for name, texts in values.items():
        option = f"--{name.replace('_', '-')}"
        # `--name=value` for one value, so that a value may begin with a dash.
        arguments += [f"{option}={texts[0]}"] if len(texts) == 1 else [option, *texts]
    return arguments
