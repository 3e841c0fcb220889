"""A Snakefile's own onstart, onsuccess and onerror, before `attach` and after it: they happen beside the engine's."""

import pytest

from tests.stemma.conftest import ALL_RUN, Toy, jobs

EVENTS = ("onstart", "onsuccess", "onerror")
NOTES = "\n".join(f'{event}:\n    open("notes.txt", "a").write("{event} ")\n' for event in EVENTS)
ATTACH = "attach(workflow"


def add_notes(toy: Toy, where: str) -> None:
    """Let each event leave its name in notes.txt."""
    if where != "after":
        toy.replace("Snakefile", ATTACH, f"{NOTES}\n{ATTACH}")
    if where != "before":
        append(toy, NOTES)


def append(toy: Toy, text: str) -> None:
    """At the end of the Snakefile, where `attach` was called already."""
    (toy.path / "Snakefile").write_text(f"{toy.read('Snakefile')}\n{text}")


@pytest.mark.parametrize("where", ["before", "after", "both"])
def test_a_snakefile_s_own_events_and_the_engine_s(toy: Toy, where: str):
    add_notes(toy, where)
    done = toy.snakemake()
    assert jobs(done) == ALL_RUN
    assert toy.read("notes.txt") == "onstart onsuccess "
    assert (toy.path / ".snakemake/stemma.lock").exists()
    assert (toy.path / "results/.records/plan.json").exists()
    toy.replace("scripts/s/third.py", "joined.read_text()[::-1]", "1 / 0")
    done = toy.snakemake()
    assert toy.read("notes.txt") == "onstart onsuccess onstart onerror "
    assert "what they gave is kept" in done.stderr


def test_what_is_not_of_the_build_leaves_before_the_user_s_own_onsuccess(built: Toy):
    """It may count or copy what stands in results/."""
    built.replace("Snakefile", 'input:\n        "results/final.txt"', 'input:\n        "results/joined.txt"')
    append(built, 'onsuccess:\n    open("notes.txt", "w").write(str(Path("results/final.txt").exists()))\n')
    built.replace("Snakefile", "from stemma.base.settings", "from pathlib import Path\nfrom stemma.base.settings")
    built.replace("config.yaml", "times: 2", "times: 3")
    assert built.build() == ALL_RUN[:2]
    assert built.read("notes.txt") == "False"


def test_a_module_s_attach_holds_for_who_takes_its_rules(toy: Toy):
    """There Snakemake hears no onstart at all."""
    (toy.path / "Snakefile").rename(toy.path / "inner.smk")
    rules = 'module inner:\n    snakefile: "inner.smk"\n\nuse rule * from inner\n'
    (toy.path / "Snakefile").write_text(rules + NOTES)
    assert toy.build("results/final.txt") == ALL_RUN
    assert toy.read("notes.txt") == "onstart onsuccess "
    assert (toy.path / "results/.records/plan.json").exists()
