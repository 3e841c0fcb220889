"""What belongs to the build that stands in results/, and who passes over what does not."""

import json
import subprocess
import sys

import pytest

from tests.stemma.conftest import REPOSITORY, Toy

SNAKEFILE = """
from stemma.base.settings import Settings
from stemma.workflow.log_filter import be_terse
from stemma.workflow.attach import attach

be_terse(workflow)

configfile: "config.yaml"

STEPS = [f"results/step-{n}.txt" for n in range(1, config["steps"] + 1)]

rule all:
    input:
        STEPS,
        "results/report/index.html",

rule some:
    input:
        "results/step-1.txt",

rule step:
    input:
        text="text.txt",
    output:
        final="results/step-{n}.txt",
    params:
        loss=lambda w: {n: config["loss"] / n for n in range(1, config["steps"] + 1)}[int(w.n)],
    log:
        "results/logs/{n}.log",
    shell:
        "python -m stemma run scripts/s/{rule}.py {params.flags}"

rule extra:
    input:
        text="text.txt",
    output:
        final="results/extra/{name}.txt",
    params:
        loss=config["loss"],
    log:
        "results/logs/{name}.log",
    shell:
        "python -m stemma run scripts/s/step.py {params.flags}"

rule report:
    input:
        steps=STEPS,
    output:
        page="results/report/index.html",
        crate="results/report/ro-crate-metadata.json",
    shell:
        "python -m stemma crate results/report Snakefile && python -m stemma report poster.yaml {output.page}"

onsuccess:
    shell("python -m stemma summary --poster poster.yaml")

attach(workflow, Settings(key="key.pem"))
"""
SCRIPT = """from pathlib import Path
from llm.command import command


def main(text: Path, final: Path, *, loss: float) -> dict:
    final.write_text(f'{text.read_text()}{loss}')
    return {'loss': loss}


if __name__ == '__main__':
    command(main)
"""
POSTER = """
title: Toy
subtitle: Steps
headline: [{label: loss, of: results/step-*, value: metrics.loss, how: last}]
stages:
- {folder: s, name: S, title: S, line: s, badge: s, blocks: [{tag: T, title: T, line: t, of: ["results/step-*"]}]}
"""


@pytest.fixture
def steps(toy: Toy) -> Toy:
    """A toy that makes as many steps as its config says, and a page, a crate and an account of them."""
    (toy.path / "Snakefile").write_text(SNAKEFILE)
    (toy.path / "scripts/s/step.py").write_text(SCRIPT)
    (toy.path / "poster.yaml").write_text(POSTER)
    (toy.path / "config.yaml").write_text("steps: 2\nloss: 12\n")
    return toy


def account(toy: Toy, *arguments: str) -> tuple[list[str], str | None]:
    """(artifacts, loss) as the account of a run states them."""
    done = toy.snakemake(*arguments)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    artifacts = [line[0] for line in lines if line[-2:-1] == ["sha256"]]
    return artifacts, next((line[1] for line in lines if line[:1] == ["loss"]), None)


def ask(toy: Toy, *arguments: str) -> subprocess.CompletedProcess:
    """A command of the engine."""
    return subprocess.run(
        [sys.executable, "-m", "stemma", *arguments],
        cwd=toy.path,
        env=toy.environment | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )


def of_build(toy: Toy) -> set[str]:
    """What the page shows, which must be what the crate lists."""
    graph = json.loads(toy.read("results/report/ro-crate-metadata.json"))["@graph"]
    crate = {item["@id"].removeprefix("../") for item in graph if item["@id"].startswith("../")}
    page = toy.read("results/report/index.html")
    assert crate == {f"step-{n}.txt" for n in range(9) if f"results/step-{n}.txt" in page}
    return crate


TWO = ["results/step-1.txt", "results/step-2.txt"]


def test_another_configs_steps_are_not_this_runs(steps: Toy):
    """The headline is the last step of this config, whatever a longer run left."""
    assert account(steps, "--config", "steps=4") == ([f"results/step-{n}.txt" for n in range(1, 5)], "3")
    assert of_build(steps) == {f"step-{n}.txt" for n in range(1, 5)}
    assert account(steps) == (TWO, "6")
    assert of_build(steps) == {"step-1.txt", "step-2.txt"}
    assert "2 artifacts" in ask(steps, "verify").stdout


def test_a_part_of_it_leaves_the_rest_in_the_build(steps: Toy):
    account(steps)
    steps.replace("config.yaml", "loss: 12", "loss: 24")
    assert account(steps, "some") == (["results/step-1.txt"], "24")
    assert (steps.path / "results/step-2.txt").is_file()
    assert "2 artifacts" in ask(steps, "verify").stdout
    assert account(steps) == (TWO, "12")


def test_another_configs_page_in_between_empties_nothing(steps: Toy):
    account(steps)
    assert account(steps, "results/extra/x.txt", "--config", "loss=5", "steps=7") == (["results/extra/x.txt"], None)
    assert standing(steps) == {"step-1.txt", "step-2.txt", "extra/x.txt"}
    assert "3 artifacts" in ask(steps, "verify").stdout
    assert account(steps, "--forcerun", "report") == (TWO, "6")
    assert standing(steps) == {"step-1.txt", "step-2.txt"}


def standing(toy: Toy) -> set[str]:
    """Files of results/ that are not the engine's own, nor the report's."""
    folder = toy.path / "results"
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in names if not name.startswith((".", "logs/", "report/"))}


def test_what_another_config_left_leaves_and_comes_back(steps: Toy):
    """After a whole run results/ holds what the config builds, and what is not the engine's; the store has the rest."""
    account(steps, "--config", "steps=4")
    (steps.path / "results/notes.txt").write_text("mine")
    (steps.path / "results/mine").mkdir()
    changed = steps.path / "results/step-4.txt"
    changed.unlink()
    changed.write_text("changed by hand")
    done = steps.snakemake()
    assert done.returncode == 0, done.stderr
    assert (
        "left results/, not of this build (the store keeps it): results/step-3.txt, results/step-4.txt" in done.stderr
    )
    assert "warning: results/step-4.txt was changed since it was built: it stays" in done.stderr
    assert standing(steps) == {"step-1.txt", "step-2.txt", "notes.txt", "step-4.txt"}
    assert changed.read_text() == "changed by hand"
    assert (steps.path / "results/mine").is_dir()
    changed.unlink()
    assert steps.build("--config", "steps=4") == [("step", "hit"), ("step", "hit")]
    assert standing(steps) == {"step-1.txt", "step-2.txt", "step-3.txt", "step-4.txt", "notes.txt"}


def test_what_the_config_would_make_so_stays_though_nobody_asked(steps: Toy):
    account(steps)
    account(steps, "results/extra/x.txt")
    account(steps, "results/step-7.txt", "--config", "steps=9")
    assert steps.build() == []
    assert standing(steps) == {"step-1.txt", "step-2.txt", "extra/x.txt"}
    assert "2 artifacts" in ask(steps, "verify").stdout
    assert "note: results/extra/x.txt: not of this build" in ask(steps, "verify").stdout
    steps.replace("config.yaml", "loss: 12", "loss: 24")
    account(steps)
    assert standing(steps) == {"step-1.txt", "step-2.txt"}


def test_what_the_store_has_lost_stays(steps: Toy):
    """Then results/ has the only copy."""
    account(steps, "--config", "steps=3")
    last = steps.path / "results/step-3.txt"
    (copy := last.with_name("copy")).write_bytes(last.read_bytes())
    (stored,) = (file for file in (steps.path / "results/.store/objects").glob("*/*") if file.samefile(last))
    stored.unlink()
    copy.unlink()
    account(steps)
    assert standing(steps) == {"step-1.txt", "step-2.txt", "step-3.txt"}


def test_what_a_failed_run_did_not_come_to_is_not_of_the_build(built: Toy):
    """It wanted other bytes than stand there."""
    built.replace("scripts/s/first.py", "return {", "assert times == 2\n    return {")
    assert built.snakemake("--config", "times=3").returncode != 0
    found = ask(built, "verify").stdout
    assert "0 artifacts" in found
    assert "note: results/final.txt, results/joined.txt: not of this build" in found
    assert "2 artifacts" in ask(built, "verify", "--all").stdout


def test_nothing_to_be_done_is_a_build_too(steps: Toy):
    """What a part of another config's build left goes, although no job is done."""
    account(steps)
    account(steps, "results/extra/x.txt", "--config", "loss=5")
    done = steps.snakemake()
    assert "Nothing to be done" in done.stderr
    assert "left results/, not of this build (the store keeps it): results/extra/x.txt" in done.stderr
    assert standing(steps) == {"step-1.txt", "step-2.txt"}
    assert not (steps.path / "results/extra").exists()
    assert json.loads(steps.read("results/.records/build.json"))["settled"] is True
