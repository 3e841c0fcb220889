"""The place where a job's script runs: its own directory in the store's workspace, and what it is given there.

    <workspace>/<output>/<number>/   where the script writes each output
    <workspace>/.inputs/             what it reads of the artifacts (stemma/view.py)
    <workspace>/.code/               a frozen copy of its closure (stemma/frozen.py), and the guard that watches it
    <workspace>/.tmp/                TMPDIR

Decides nothing about keys and starts nothing.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from stemma import artifact, numeric
from stemma.action import Action
from stemma.closure import reader_of
from stemma.compiled import VARIABLES, Compiled
from stemma.frozen import compiled, freeze, write_code
from stemma.guard import POLICY
from stemma.recipe import suffix_of
from stemma.record import Job
from stemma.settings import cache_of
from stemma.view import declared, lay_out

GUARD = Path(__file__).with_name("guard.py")
STARTER = "sitecustomize.py"  # Python imports it before anything else: every process of the job is guarded


@dataclass(frozen=True)
class Sandbox:
    """One job's place. `inputs`: argument -> what to read, see stemma/view.py; `outputs`: where to write: an empty
    directory for a manifest, else a file's name."""

    action: Action
    place: Path
    inputs: dict[str, list[Path]]
    outputs: dict[str, list[Path]]
    compiled: Compiled
    log: Path

    @staticmethod
    def of(action: Action, workspace: Path, log: Path) -> "Sandbox":
        """Prepare a workspace."""
        reader, place = reader_of(action.root), workspace.absolute()
        sandbox = Sandbox(
            action,
            place,
            lay_out(action.job.inputs, place),
            staged(action.job, place),
            Compiled(action.closure, reader, cache_of(action.store.path)),
            log.absolute(),
        )
        freeze(action.closure, reader, sandbox.code)
        sandbox.compiled.lend(sandbox.code)
        sandbox.temporary.mkdir()
        guard = sandbox.code / STARTER
        guard.write_bytes(GUARD.read_bytes())
        write_code(guard, compiled(GUARD.read_bytes(), guard))
        guard.with_name(POLICY).write_text(json.dumps(sandbox.policy()))
        return sandbox

    @property
    def code(self) -> Path:
        """The frozen closure."""
        return self.place / ".code"

    @property
    def temporary(self) -> Path:
        """TMPDIR."""
        return self.place / ".tmp"

    def command(self) -> list[str]:
        """What to execute. Without the directory of the script, the user's packages, or the working directory on
        Python's path."""
        arguments = script_arguments(self.action.job, self.inputs, self.outputs)
        return [sys.executable, "-P", "-s", str(self.code / STARTER), str(self.code / self.script), *arguments]

    @property
    def script(self) -> str:
        """scripts/<stage>/<rule>.py."""
        return self.action.job.script

    def variables(self) -> dict[str, str]:
        """Variables that fix what a process would else take from its surroundings."""
        return environment(self.action.job)

    def private(self) -> dict[str, str]:
        """Variables that name the job's own places: what the result does not depend on is not in the record."""
        return {
            "PYTHONPATH": str(self.code),
            "TMPDIR": str(self.temporary),
            **VARIABLES,
            **{name: str(path) for name, path in self.kept().items()},
        }

    def kept(self) -> dict[str, Path]:
        """Variable and directory of what a script may keep outside its outputs; it makes the directory if it wants it.

        Scratch bears the action key and outlives a kill: what a job finds there was left by one with the same code,
        parameters and inputs. Logs lie beside the log file, for those who watch the job.
        """
        scratch = self.action.store.scratch_path(self.action.key)
        return {"STEMMA_SCRATCH": scratch.absolute(), "STEMMA_LOGS": self.log.with_suffix("")}

    def policy(self) -> dict:
        """What the script may open, for stemma/guard.py: its code, its inputs, and directories that are its own."""
        closure, root = self.action.closure, self.action.root
        sources = [Path(item.path).absolute() for item in self.action.inputs if item.record is None]
        trees = [sys.prefix, sys.base_prefix, *sources, self.place, *self.kept().values()]
        return {
            "script": self.script,
            "zones": [str(root), str(Path.cwd())],
            "trees": list(map(str, trees)),
            "code": [str(root / name) for name in (*closure.modules, *closure.data_files)],
            "network": closure.network,
        }

    def shown(self, line: str) -> str:
        """A line of the script's output as people know its places: code by its place in the checkout, inputs by those
        that they are declared at."""
        return declared(line.replace(f"{self.code}/", f"{self.action.root}/"), self.place)

    def close(self) -> None:
        """After the script ended well."""
        self.compiled.take_back(self.code)


def staged(job: Job, workspace: Path) -> dict[str, list[Path]]:
    """A place in the workspace for every output: an empty directory for a manifest, a name to write to for a file, of
    which only the suffix is the output's own."""
    found: dict[str, list[Path]] = {}
    for name, paths in job.outputs.items():
        for number, path in enumerate(map(Path, paths)):
            place = workspace / name / str(number)
            place.mkdir(parents=True)
            file = place / (name + suffix_of(path))
            found.setdefault(name, []).append(place if artifact.is_directory(path) else file)
    return found


def script_arguments(job: Job, inputs: dict[str, list[Path]], outputs: dict[str, list[Path]]) -> list[str]:
    """The script's command line: the same options a person would type."""
    values = {name: [str(path) for path in paths] for name, paths in inputs.items()}
    for name, paths in job.sources.items():
        values.setdefault(name, []).extend(paths)
    values |= {name: [str(path) for path in paths] for name, paths in outputs.items()}
    for name, value in job.params.items():
        values[name] = [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)]
    arguments = []
    for name, texts in values.items():
        option = f"--{name.replace('_', '-')}"
        # `--name=value` for one value, so that a value may begin with a dash.
        arguments += [f"{option}={texts[0]}"] if len(texts) == 1 else [option, *texts]
    return arguments


def environment(job: Job) -> dict[str, str]:
    """Variables that fix what a process would else take from its surroundings."""
    threads = str(job.threads)
    return numeric.environment(job.numeric) | {
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",
        "PYTHONNOUSERSITE": "1",
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "POLARS_MAX_THREADS": threads,
        "RAYON_NUM_THREADS": threads,
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "MPLBACKEND": "svg",
    }
