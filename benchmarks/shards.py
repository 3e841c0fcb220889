"""A workflow of many shards whose one script does nothing worth mentioning, run by the real Snakemake and engine."""

import os
import subprocess
import sys
from pathlib import Path

from stemma.base.settings import ROOT

RULES = """

rule all:
    input:
        [f"results/shards/{number}.txt" for number in range(config["shards"])],


rule shard:
    input:
        text="text.txt",
    output:
        shard="results/shards/{number}.txt",
    params:
        number=lambda w: int(w.number),
    log:
        "results/logs/{number}.log",
    shell:
        "{}"
"""
HEAD = """
from stemma.base.settings import Settings
from stemma.workflow.log_filter import be_terse
from stemma.workflow.attach import attach

be_terse(workflow)
"""
ATTACH = """

attach(workflow, Settings(key="key.pem"))
"""


def rules_by(command: str) -> str:
    """The workflow's two rules, the second of which runs this shell command."""
    return RULES.replace('"{}"', f'"{command}"')


SNAKEFILE = HEAD + rules_by("python -m stemma run scripts/bench/{rule}.py {params.flags}") + ATTACH
SCRIPT = """
from pathlib import Path

from llm.command import command


def main(text: Path, shard: Path, *, number: int) -> dict:
    shard.write_text(f"{number} {text.read_text()}")
    return {"number": number}


if __name__ == "__main__":
    command(main)
"""


def write_workflow(directory: Path) -> None:
    """The workflow's files; of llm/ only what runs a script."""
    files = {"Snakefile": SNAKEFILE, "scripts/bench/shard.py": SCRIPT, "text.txt": "hello\n", "llm/__init__.py": ""}
    for name in ("command", "errors", "progress", "settings"):
        files[f"llm/{name}.py"] = (ROOT / f"llm/{name}.py").read_text()
    for name, text in files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def command_of(shards: int, *arguments: str) -> list[str]:
    """Snakemake with the default profile, in the workflow's directory."""
    snakemake = [sys.executable, "-m", "snakemake", "--profile", str(ROOT / "profiles/default")]
    return [*snakemake, *arguments, "--config", f"shards={shards}"]


def environment(directory: Path) -> dict[str, str]:
    """What a job's shell gets from stemma/workflow/attach.py, so that one can be started by hand."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STEMMA_")}
    return clean | {"PYTHONPATH": f"{directory}{os.pathsep}{ROOT}", "STEMMA_ROOT": str(directory)}


def build(directory: Path, shards: int) -> None:
    """Build all shards; what was built before stays."""
    write_workflow(directory)
    done = subprocess.run(
        command_of(shards), cwd=directory, env=environment(directory), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
