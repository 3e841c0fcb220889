"""A workspace of benchmarks/rebuilds.py, and three systems that build in it: this project, plain Snakemake, DVC.

A workspace is a copy of the repository's tracked files with two directories of text; everything is built inside it.
Plain Snakemake and DVC run the same scripts with the same arguments: a rule or stage a job, written from the plan that
this project keeps. As their manuals have it, a job depends on its script, its inputs and its params; outputs are files
or directories with places of their own.
"""

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from stemma import numeric
from stemma.settings import ROOT

PLAN = Path("results/.records/plan.json")
OVERLAY = "benchmarks/rebuilds.yaml"
RAN = "runs.log"
MANIFEST = "manifest.json"
DATA = ("collect", "process", "tokenize")  # stages of the cheap half
LINE = re.compile(
    r"^(?:\S+\s+)?(collect|process|tokenize|architecture|pretrain|align|package|deploy|provenance)\s+(\S+)\s.*\srun\s"
)


@dataclass
class Workspace:
    """root: where everything lies. environment: variables that a change adds. configs: overlays beside the preset."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    configs: list[str] = field(default_factory=lambda: [OVERLAY])

    @classmethod
    def new(cls, root: Path) -> "Workspace":
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for name in filter(None, listed.split("\0")):
            if not name.startswith(("tests/", "docs/")) and (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, root / name)
        for folder, pages in (
            ("texts", sorted((ROOT / "docs").glob("[a-e]*.md"))),
            ("more", sorted((ROOT / "docs").glob("p*.md"))),
        ):
            (root / folder).mkdir()
            for page in pages:
                (root / folder / f"{page.stem}.txt").write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
        return cls(root)

    def copy(self, root: Path) -> "Workspace":
        """As it stands, times and hard links kept."""
        subprocess.run(["cp", "-a", f"{self.root}/.", str(root)], check=True)
        return Workspace(root, dict(self.environment), list(self.configs))

    def variables(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SNAKEMAKE", "STEMMA"))}
        return inherited | {"PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"} | self.environment


@dataclass
class Job:
    """One script's run: `outputs` by path as this project names them."""

    rule: str
    stage: str
    name: str
    outputs: list[str]


@dataclass
class Build:
    """What a build did: exit status, jobs that ran by name, the last line that was said."""

    status: int
    ran: list[str]
    said: str


class Stemma:
    """This project, as its users call it."""

    name = "Stemma"

    def prepare(self, workspace: Workspace, jobs: list[dict]) -> None:
        pass

    def start(self, workspace: Workspace, data_only: bool) -> subprocess.Popen:
        command = [sys.executable, "-m", "snakemake", *(["token_shards"] if data_only else [])]
        command += ["--profile", "profiles/default", "--cores", "2"]
        command += ["--configfile", "presets/tiny.yaml", *workspace.configs]
        return started(command, workspace)

    def finish(self, workspace: Workspace, process: subprocess.Popen) -> Build:
        status, lines = ended(process, workspace)
        ran = [
            found.group(2) + "|" + line.split()[line.split().index(found.group(2)) + 1]
            for line in lines
            if (found := LINE.match(line))
        ]
        return Build(status, ran, last(lines))

    def has_begun(self, workspace: Workspace, rule: str, since: float) -> bool:
        log = workspace.root / f"results/logs/{rule}.log"
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

    def has_begun(self, workspace: Workspace, rule: str, since: float) -> bool:
        log = workspace.root / RAN
        return log.exists() and any(line.split("|")[0] == rule for line in log.read_text().splitlines())

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
        for number, job in enumerate(jobs):
            outputs = [places[path] for _, path in job["outputs"]]
            directories = [
                f"directory({place!r})" if path.endswith(MANIFEST) else repr(place)
                for (_, path), place in zip(job["outputs"], outputs, strict=True)
            ]
            command = shell_line(job, places).replace("{", "{{").replace("}", "}}")
            rules += [
                f"rule job_{number}:",
                f"    input: {[job['script'], *inputs_of(job, places)]!r}",
                f"    output: {', '.join(directories)}",
                f"    params: values={[text.replace('{', '(') for text in map(str, sorted(job['params'].items()))]!r}",
                f"    shell: {command!r}",
                "",
            ]
        (workspace.root / "Snakefile.plain").write_text("\n".join(rules))

    def start(self, workspace: Workspace, data_only: bool) -> subprocess.Popen:
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "-s",
            "Snakefile.plain",
            "--cores",
            "2",
            "--nolock",
            "--rerun-incomplete",
            "-q",
        ]
        return started(command, workspace)


class Dvc(Translated):
    """`dvc repro` on a dvc.yaml: script and inputs are deps, params are in params.yaml."""

    name = "DVC"

    def __init__(self, program: str) -> None:
        self.program = program

    def prepare(self, workspace: Workspace, jobs: list[dict]) -> None:
        places = translated_places(workspace, jobs)
        stages, params = {}, {}
        for number, job in enumerate(jobs):
            stage = {
                "cmd": shell_line(job, places).replace("${", "$${"),
                "deps": [job["script"], *inputs_of(job, places)],
                "outs": [places[path] for _, path in job["outputs"]],
            }
            if job["params"]:
                params[f"job_{number}"] = job["params"]
                stage["params"] = [f"job_{number}"]
            stages[f"job_{number}"] = stage
        (workspace.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
        (workspace.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=True))
        if not (workspace.root / ".dvc").exists():
            subprocess.run([self.program, "init", "--no-scm", "-q"], cwd=workspace.root, check=True)
            subprocess.run([self.program, "config", "core.analytics", "false"], cwd=workspace.root, check=True)

    def start(self, workspace: Workspace, data_only: bool) -> subprocess.Popen:
        shutil.rmtree(workspace.root / ".dvc/tmp/rwlock", ignore_errors=True)
        return started([self.program, "repro", "-q"], workspace)


def translated_places(workspace: Workspace, jobs: list[dict]) -> dict[str, str]:
    """Path -> where the job's output lies instead: the last part of the name stays, scripts read it."""
    places = {}
    for job in jobs:
        number = hashlib.sha256(job["outputs"][0][1].encode()).hexdigest()[:8]
        for position, (_, path) in enumerate(job["outputs"]):
            kept = Path(path).parent.name if path.endswith(MANIFEST) else Path(path).name
            places[path] = f"built/{job['rule']}-{number}/{position}/{kept}"
    (workspace.root / "places.json").write_text(json.dumps(places))
    return places


def inputs_of(job: dict, places: dict[str, str]) -> list[str]:
    return [places.get(path, path) for _, path in job["inputs"]]


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
        "OMP_NUM_THREADS": "1",
        "POLARS_MAX_THREADS": "1",
        "RAYON_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "MPLBACKEND": "svg",
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
    }
    run = shlex.join(
        ["env", *(f"{key}={value}" for key, value in variables.items()), sys.executable, job["script"], *arguments]
    )
    note = shlex.quote(f"{job['rule']}|{job['outputs'][0][1]}")
    return f"echo {note} >> {RAN} && rm -rf {shlex.join(made)} && mkdir -p {shlex.join(made)} && {run} > /dev/null"


def started(command: list[str], workspace: Workspace) -> subprocess.Popen:
    """In a group of its own, so that it can be killed whole. What it says goes to a file."""
    with (workspace.root / "said.log").open("w") as said:
        return subprocess.Popen(
            command,
            cwd=workspace.root,
            env=workspace.variables(),
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


def digest_of(path: Path) -> str | None:
    """Of a file, or of all that lies in a directory but manifests; None if it is not there."""
    if not path.exists():
        return None
    found = hashlib.sha256()
    files = (
        [path]
        if path.is_file()
        else sorted(file for file in path.rglob("*") if file.is_file() and file.name != MANIFEST)
    )
    for file in files:
        found.update(str(file.relative_to(path)).encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen) -> bool:
    """Until it holds; False if the process ended before."""
    while not condition():
        if process.poll() is not None:
            return False
        time.sleep(0.02)
    return True
