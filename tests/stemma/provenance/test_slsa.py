"""What a statement says, and what it must not say; the schema refuses what is not one."""

import copy
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from stemma.base import digest
from stemma.code.closure import Closure, closure_of
from stemma.provenance.describe import described
from stemma.provenance.record import Input, Job, Outcome
from stemma.provenance.slsa import SCHEMA, mistake, record_in, statement_of
from tests.stemma.conftest import REPOSITORY

SCRIPT = min((REPOSITORY / "scripts").rglob("*.py")).relative_to(REPOSITORY).as_posix()  # a real one
DIGEST = "ab" * 32


@pytest.fixture(scope="module")
def closure() -> Closure:
    """That of the script."""
    return closure_of(Path(SCRIPT), REPOSITORY)


@pytest.fixture
def record(closure) -> dict:
    """A record with everything in it."""
    params = {"seed": 3, "url": "https://me:secret@example.org/x", "deep": [f"{Path.cwd()}/x"]}
    inputs = {"adapter": ["results/a.json"]}
    job = Job("merge", SCRIPT, {"method": "dpo"}, params, inputs, {}, {"hf": ["results/m"]}, DIGEST, "native", 2)
    source = Input("raw", str(REPOSITORY / "README.md"), DIGEST, None)
    taken = [Input("adapter", "results/a.json", DIGEST, DIGEST), source]
    environment = {"PYTHONHASHSEED": "0", "PYTHONPATH": "/somewhere"}
    outcome = Outcome("2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z", 1.0, 0.5, 7, {"loss": 1.5}, environment)
    objects = {"environment": DIGEST, "closure": DIGEST}
    made = described(job, closure, DIGEST, "exact", taken, {"hf": [DIGEST]}, outcome, objects, REPOSITORY)
    assert record_in(statement_of(made)) == made
    return statement_of(made)


def errors(record: dict) -> list[str]:
    """Where the schema objects."""
    validator = Draft202012Validator(json.loads(SCHEMA.read_bytes()))
    found = [error.json_path for error in validator.iter_errors(json.loads(json.dumps(record)))]
    assert (mistake(record) is None) == (not found)  # what jobs check with is another library
    return found


def test_record_keeps_to_the_schema_and_says_all(record, closure):
    assert errors(record) == []
    definition = record["predicate"]["buildDefinition"]
    internal = definition["internalParameters"]
    assert (internal["seed"], internal["threads"], internal["device"]) == (3, 2, "cpu")
    assert internal["environment"] == {"PYTHONHASHSEED": "0"}
    usage = record["predicate"]["runDetails"]["stemma_usage"]
    assert (usage["gpu_seconds"], usage["peak_memory_bytes"], usage["slurm_job_id"]) == (None, 7, None)
    kinds = {item["annotations"]["kind"] for item in definition["resolvedDependencies"]}
    assert {"input", "source", "module", "environment", "closure", "checkout"} <= kinds
    for item in definition["resolvedDependencies"]:
        if item["annotations"]["kind"] == "module":
            assert item["digest"]["sha256"] == digest.of_file(REPOSITORY / item["name"])
            assert item["annotations"]["meaning"] == closure.modules[item["name"]]


def test_record_shows_no_secret_and_no_place(record):
    text = json.dumps(record)
    assert "secret" not in text
    assert str(Path.cwd()) not in text
    assert str(REPOSITORY) not in text
    assert "/somewhere" not in text
    assert json.dumps(record["predicate"]["buildDefinition"]["externalParameters"]["params"]["deep"]) == '["./x"]'


def at(record: dict, path: tuple) -> tuple[dict, object]:
    """(the container, the last key) of a place."""
    for key in path[:-1]:
        record = record[key]
    return record, path[-1]


RUN = ("predicate", "runDetails")
BUILD = ("predicate", "buildDefinition")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("_type",), "https://in-toto.io/Statement/v0.1"),
        (("subject",), []),
        (("subject", 0, "digest", "sha256"), "AB" * 32),
        (("subject", 0, "digest", "sha256"), "ab" * 31),
        (("subject", 0, "name"), "/etc/passwd"),
        (("subject", 0, "more"), 1),
        (("subject", 0, "name"), "results/\x1b[2J"),
        (("subject", 0, "name"), "results/a\n"),
        (("subject", 0, "name"), "results/\u202egpj.exe"),
        (("subject", 0, "annotations", "output"), "a\x9bb"),
        ((*RUN, "builder", "id"), ""),
        ((*RUN, "metadata", "startedOn"), "2026-01-02 03:04:05"),
        ((*RUN, "metadata", "startedOn"), "2026-13-02T03:04:05Z"),
        ((*RUN, "stemma_usage", "host_name"), "n1"),
        ((*RUN, "stemma_usage", "cpu_seconds"), -1),
        ((*RUN, "stemma_usage", "seconds"), 10**30),
        ((*RUN, "stemma_usage", "seconds"), True),
        ((*RUN, "stemma_usage", "peak_memory_bytes"), 1 << 63),
        ((*RUN, "stemma_usage", "slurm_job_id"), "1\r2"),
        ((*RUN, "stemma_keys", "action"), "x"),
        ((*BUILD, "externalParameters", "script"), "../elsewhere.py"),
        ((*BUILD, "externalParameters", "rule"), "\x1b]0;"),
        ((*BUILD, "externalParameters", "wildcards"), {"source": "a\nb"}),
        ((*BUILD, "internalParameters", "threads"), 0),
        ((*BUILD, "resolvedDependencies", 0, "annotations", "record"), None),
        ((*BUILD, "resolvedDependencies", 0, "annotations", "kind"), "gift"),
        ((*BUILD, "resolvedDependencies", 0, "digest"), {"sha512": DIGEST}),
    ],
)
def test_schema_refuses(record, place, value):
    forged = copy.deepcopy(record)
    container, key = at(forged, place)
    container[key] = value
    assert errors(forged)


@pytest.mark.parametrize("place", [("subject",), ("predicate",), (*RUN, "stemma_metrics"), (*BUILD, "buildType")])
def test_schema_misses_nothing(record, place):
    container, key = at(record, place)
    del container[key]
    assert errors(record)


def test_the_script_is_one_of_the_modules(record):
    """Readers look its bytes up there; a schema cannot say so."""
    record["predicate"]["buildDefinition"]["externalParameters"]["script"] = "scripts/process/others.py"
    assert mistake(record) == "its script scripts/process/others.py is none of its modules"


def test_nothing_else_knows_these_names():
    names = ("resolvedDependencies", "buildDefinition", "runDetails", "externalParameters", "stemma_usage")
    readers = {
        str(path.relative_to(REPOSITORY))
        for path in (REPOSITORY / "stemma").rglob("*.py")
        if any(name in path.read_text() for name in names)
    }
    assert readers == {"stemma/provenance/slsa.py"}
