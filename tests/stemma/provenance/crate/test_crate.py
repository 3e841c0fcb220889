"""The crate: derived from the records alone, so the same records give the same bytes, and no place or secret shows."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from stemma.base import digest
from stemma.base.errors import StemmaError
from stemma.base.settings import Settings
from stemma.provenance.crate.write import write_crate
from stemma.provenance.trust import Records
from tests.stemma.conftest import Toy

METADATA = "results/report/ro-crate-metadata.json"


def crate(toy: Toy) -> subprocess.CompletedProcess:
    """`python -m stemma crate` in the toy, whose Snakefile is the workflow."""
    command = [sys.executable, "-m", "stemma", "crate", "results/report", "Snakefile"]
    environment = toy.environment | {"PYTHONPATH": str(toy.path)}
    return subprocess.run(command, cwd=toy.path, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def graph(built: Toy) -> dict[str, dict]:
    """The entities of a built toy's crate by @id."""
    return entities(built)


def entities(toy: Toy) -> dict[str, dict]:
    """Write the crate and read it."""
    done = crate(toy)
    assert done.returncode == 0, done.stderr
    found = json.loads((toy.path / METADATA).read_text())["@graph"]
    assert len({entity["@id"] for entity in found}) == len(found)
    return {entity["@id"]: entity for entity in found}


def references(value: object) -> set[str]:
    """Every @id that a value points at."""
    if isinstance(value, list):
        return set().union(*map(references, value))
    if isinstance(value, dict):
        return {value["@id"]} if set(value) == {"@id"} else set().union(*map(references, value.values()))
    return set()


def test_each_job_is_an_action_from_its_inputs_to_its_results(graph):
    action = graph["#job/second"]
    assert action["@type"] == "CreateAction"
    assert references(action["object"]) == {"../parts/"}
    assert references(action["result"]) == {"../joined.txt"}
    assert graph[action["instrument"]["@id"]]["name"] == "scripts/s/second.py"
    assert references(graph["#job/first"]["object"]) >= {"#value/first/times/d4735e3a265e"}
    assert graph["#run"]["instrument"] == {"@id": "workflow/Snakefile"}
    assert references(graph["#run"]["result"]) == {"../final.txt"}


def test_every_reference_leads_somewhere(graph):
    elsewhere = ("http://", "https://")
    for entity in graph.values():
        for value in [value for key, value in entity.items() if key != "@id"]:
            assert {one for one in references(value) if not one.startswith(elsewhere)} <= graph.keys()


def test_files_have_the_digests_that_stand(built):
    for identifier, entity in entities(built).items():
        if entity["@type"] == "File" and not identifier.startswith("#"):
            assert digest.of_file(built.path / "results/report" / identifier) == entity["sha256"]


def test_same_records_same_bytes_and_no_place(built):
    crate(built)
    first = (built.path / METADATA).read_bytes()
    crate(built)
    assert (built.path / METADATA).read_bytes() == first
    assert str(built.path).encode() not in first
    assert str(Path.home()).encode() not in first


def test_a_changed_script_is_another_tool(built):
    before = entities(built)["#job/first"]["instrument"]
    built.replace("llm/deep/low.py", "upper", "title")
    built.build()
    assert entities(built)["#job/first"]["instrument"] != before


def test_nothing_built_is_said(toy):
    (toy.path / "results/.records").mkdir(parents=True)
    done = crate(toy)
    assert done.returncode == 2
    assert "build something first" in done.stderr
    assert not (toy.path / METADATA).exists()


def test_a_workflow_file_that_is_not_there_is_said(built: Toy):
    with (
        contextlib.chdir(built.path),
        pytest.raises(StemmaError, match=r"^rules/x.smk is no file here; name the Snake"),
    ):
        write_crate(Records.of(Settings.here()), Path("crate"), [Path("Snakefile"), Path("rules/x.smk")])
    assert not (built.path / "crate").exists()
