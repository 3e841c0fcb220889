"""Three systems that build in a workspace of benchmarks/rebuilds.py: this project, plain Snakemake, DVC.

Plain Snakemake and DVC run the same scripts with the same arguments: a rule or stage a job, written from the plan that
this project keeps. As their manuals have it, a job depends on its script, its inputs and its params; outputs are files
or directories with places of their own.
"""

import hashlib
import json
import re
import shlex
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.rebuilds_workspace import MANIFEST, Workspace
from stemma.code import numeric

PLAN = Path("results/.records/plan.json")
RECORDS = Path("results/.store/records")
POINTERS = "results/.records"
RAN = "runs.log"
LINE = re.compile(r"^(?:\[\S+\] +)?([a-z]+) +(\w+) +(results/\S+)(?: \+\d+)? +run +[\d:.]+")
NOT_TRANSLATED = "croissant"  # this rule reads the manifest that the engine writes


@dataclass
class Build:
    """What a build did: exit status, the jobs that ran as `rule|first output`, the line that says what was wrong."""

    status: int
    ran: list[str]
    said: str


class Stemma:
    """This project, as its users call it."""

    name = "Stemma"

    def prepare(self, workspace: Workspace, jobs: list[dict]) -> None:
        pass

    def start(self, workspace: Workspace, data_only: bool, replay: bool = False) -> subprocess.Popen:
        command = [workspace.python, "-m", "snakemake", *(["token_shards"] if data_only else [])]
        command += ["--profile", "profiles/default", "--cores", "2"]
        command += ["--configfile", "presets/tiny.yaml", *workspace.configs]
        return started(command, workspace)

    def jobs(self, workspace: Workspace) -> list[dict]:
        """What the last build consisted of, but for views."""
        jobs = json.loads((workspace.root / PLAN).read_text())["jobs"]
        return [job for job in jobs if job["script"] and job["rule"] != NOT_TRANSLATED]

    def actions(self, workspace: Workspace) -> set[str]:
        """Keys that the store has an answer for."""
        return {file.parent.name + file.stem for file in (workspace.root / RECORDS).glob("*/*.json")}

    def action(self, workspace: Workspace, path: str) -> str:
        """Key of the action whose result stands at a path."""
        return json.loads((workspace.root / f"{POINTERS}/{path.removeprefix('results/')}.json").read_text())["action"]

    def finish(self, workspace: Workspace, process: subprocess.Popen) -> Build:
        status, lines = ended(process, workspace)
        ran = [f"{found[2]}|{found[3]}" for line in lines if (found := LINE.match(line))]
        return Build(status, [name for name in ran if not name.startswith(NOT_TRANSLATED)], last(lines))

    def has_begun(self, workspace: Workspace, job: str, since: float) -> bool:
        log = workspace.root / f"results/logs/{job.split('|')[0]}.log"
        return log.is_file() and log.stat().st_mtime >= since

    def place(self, workspace: Workspace, path: str) -> Path:
        return workspace.root / path


class Translated:
    """The same jobs in another system's words; outputs lie below `built/`, a directory a job."""

    def prepare(self, workspace: Workspace, jobs: list[dict]) -> None:
        raise NotImplementedError

    def finish(self, workspace: Workspace, process: subprocess.Popen) -> Build:
        status, lines = ended(process, workspace)
        log = workspace.root / RAN
        ran = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return Build(status, ran, last(lines))

    def has_begun(self, workspace: Workspace, job: str, since: float) -> bool:
        log = workspace.root / RAN
        return log.exists() and any(line.split("|")[1] == job.split("|")[1] for line in log.read_text().splitlines())

    def place(self, workspace: Workspace, path: str) -> Path:
        return workspace.root / json.loads((workspace.root / "places.json").read_text())[path]


class PlainSnakemake(Translated):
    """Snakemake with its default triggers: a rule for each job, the script among the inputs."""

    name = "Snakemake"

    def prepare(self, workspace: Workspace, jobs: list[dict]) -> None:
        places = translated_places(workspace, jobs)
        rules = [
            "rule all:",
            "    default_target: True",
            f"    input: {[places[job['outputs'][0][1]] for job in jobs]!r}",
            "",
        ]
        for job in jobs:
            outputs = [places[path] for _, path in job["outputs"]]
            inputs = [file for path in inputs_of(job, places) for file in files_of(workspace, path)]
            directories = [
                f"directory({place!r})" if path.endswith(MANIFEST) else repr(place)
                for (_, path), place in zip(job["outputs"], outputs, strict=True)
            ]
            command = shell_line(job, places).replace("{", "{{").replace("}", "}}")
            rules += [
                f"rule {name_of(job)}:",
                f"    input: {[job['script'], *inputs]!r}",
                f"    output: {', '.join(directories)}",
                f"    params: values={[text.replace('{', '(') for text in map(str, sorted(job['params'].items()))]!r}",
                f"    shell: {command!r}",
                "",
            ]
        (workspace.root / "Snakefile.plain").write_text("\n".join(rules))

    def start(self, workspace: Workspace, data_only: bool, replay: bool = True) -> subprocess.Popen:
        command = [workspace.python, "-m", "snakemake", "-s", "Snakefile.plain", "--cores", "2"]
        command += ["--workflow-profile", "none"]  # the workspace has this project's, which sets other triggers
        return started([*command, "--nolock", "--rerun-incomplete", "-q"], workspace, replay)


class Dvc(Translated):
    """`dvc repro` on a dvc.yaml: script and inputs are deps, params are in params.yaml."""

    name = "DVC"

    def __init__(self, program: str) -> None:
        self.program = program

    def prepare(self, workspace: Workspace, jobs: list[dict]) -> None:
        places = translated_places(workspace, jobs)
        stages, params = {}, {}
        for job in jobs:
            stage = {
                "cmd": shell_line(job, places).replace("${", "$${"),
                "deps": [job["script"], *inputs_of(job, places)],
                "outs": [places[path] for _, path in job["outputs"]],
            }
            if job["params"]:
                params[name_of(job)] = job["params"]
                stage["params"] = [name_of(job)]
            stages[name_of(job)] = stage
        (workspace.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
        (workspace.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=True))
        if not (workspace.root / ".dvc").exists():
            subprocess.run([self.program, "init", "--no-scm", "-q"], cwd=workspace.root, check=True)
            subprocess.run([self.program, "config", "core.analytics", "false"], cwd=workspace.root, check=True)

    def start(self, workspace: Workspace, data_only: bool, replay: bool = True) -> subprocess.Popen:
        return started([self.program, "repro", "-q"], workspace, replay)


def translated_places(workspace: Workspace, jobs: list[dict]) -> dict[str, str]:
    """Path -> where the job's output lies instead. The last two parts of the name stay: scripts read the last one, and
    an output keeps its place when the job gets one output more or less."""
    places = {}
    for job in jobs:
        for _, path in job["outputs"]:
            kept = Path(path.removesuffix(f"/{MANIFEST}"))
            places[path] = f"built/{name_of(job)}/{kept.parent.name}/{kept.name}"
    (workspace.root / "places.json").write_text(json.dumps(places))
    return places


def shown(job: dict) -> str:
    """A job's first output as this project's terminal shows it."""
    return job["outputs"][0][1].removesuffix(f"/{MANIFEST}")


def name_of(job: dict) -> str:
    """The same in every state of the workflow that has the job."""
    return f"{job['rule']}_{hashlib.sha256(job['outputs'][0][1].encode()).hexdigest()[:8]}"


def inputs_of(job: dict, places: dict[str, str]) -> list[str]:
    return [places.get(path, path) for _, path in job["inputs"]]


def files_of(workspace: Workspace, path: str) -> list[str]:
    """A directory of the user's file by file, since Snakemake looks at a directory's own time alone."""
    if path.startswith("built/") or not (workspace.root / path).is_dir():
        return [path]
    return sorted(str(file.relative_to(workspace.root)) for file in (workspace.root / path).glob("**/*"))


def shell_line(job: dict, places: dict[str, str]) -> str:
    """Makes the output directories, notes that the script runs, and runs it."""
    values: dict[str, list[str]] = {}
    for name, path in (*job["inputs"], *job["outputs"]):
        values.setdefault(name, []).append(places.get(path, path))
    made = [places[path] if path.endswith(MANIFEST) else str(Path(places[path]).parent) for _, path in job["outputs"]]
    for name, value in job["params"].items():
        values[name] = [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)]
    arguments = []
    for name, texts in values.items():
        option = f"--{name.replace('_', '-')}"
        arguments += [f"{option}={texts[0]}"] if len(texts) == 1 else [option, *texts]
    variables = numeric.environment("portable") | {
        "NUMBA_CACHE_DIR": ".",
        "NUMBA_CACHE_LOCATOR_CLASSES": "InTreeCacheLocator",  # compiled code travels with the workspace
        "OMP_NUM_THREADS": "1",
        "POLARS_MAX_THREADS": "1",
        "RAYON_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "MPLBACKEND": "svg",
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
    }
    run = ["env", *(f"{key}={value}" for key, value in variables.items()), "python", job["script"], *arguments]
    outputs, inputs = [places[path] for _, path in job["outputs"]], inputs_of(job, places)
    run = ["python", "-S", "benchmarks/rebuilds_replay.py", "--outputs", *outputs, "--inputs", *inputs, "--", *run]
    note = shlex.quote(f"{job['rule']}|{shown(job)}")
    return f"echo {note} >> {RAN} && rm -rf {shlex.join(made)} && mkdir -p {shlex.join(made)} && {shlex.join(run)}"


def started(command: list[str], workspace: Workspace, replay: bool = False) -> subprocess.Popen:
    """In a group of its own, so that it can be killed whole. What it says goes to a file."""
    kept = workspace.replayed() if replay else {}
    with (workspace.root / "said.log").open("w") as said:
        return subprocess.Popen(
            command,
            cwd=workspace.root,
            env=workspace.variables() | kept,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def ended(process: subprocess.Popen, workspace: Workspace) -> tuple[int, list[str]]:
    status = process.wait()
    return status, (workspace.root / "said.log").read_text(errors="replace").splitlines()


def last(lines: list[str]) -> str:
    """The line that says what was wrong, or the last one."""
    wrong = [line for line in lines if line.startswith("error") or "Error" in line]
    return (wrong or [line for line in lines if line.strip()] or [""])[0].strip()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen) -> bool:
    """Until it holds; False if the process ended before."""
    while not condition():
        if process.poll() is not None:
            return False
        time.sleep(0.02)
    return True
