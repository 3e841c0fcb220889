"""What a record says, and what it must not say; its schema refuses what is not one."""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from stemma.base import digest
from stemma.code.closure import Closure, closure_of
from stemma.provenance.record import SCHEMA, Input, Job, Outcome, mistake, of_source, public, shown, statement
from tests.stemma.conftest import REPOSITORY

SCRIPT = "scripts/model/model_config.py"
DIGEST = "ab" * 32


@pytest.fixture(scope="module")
def closure() -> Closure:
    """That of a real script."""
    script = next(path for path in sorted((REPOSITORY / "scripts").rglob("*.py")))
    return closure_of(script.relative_to(REPOSITORY), REPOSITORY)


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
    return statement(job, closure, DIGEST, "exact", taken, {"hf": [DIGEST]}, outcome, objects, REPOSITORY)


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


def test_slurm_job_and_attempt(record, closure, monkeypatch):
    from stemma.provenance.record import slurm

    assert slurm() == {"slurm_job_id": None, "slurm_attempt": None}
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    assert slurm() == {"slurm_job_id": "17", "slurm_attempt": 1}
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    assert slurm() == {"slurm_job_id": "17", "slurm_attempt": 3}


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


def test_source_elsewhere_is_named_by_its_last_component(tmp_path, monkeypatch):
    (tmp_path / "here/data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert shown("data/./x.txt") == "data/x.txt"
    assert shown(str(tmp_path / "here/data")) == "data"
    assert shown("../corpus") == "corpus"
    inside, outside = (of_source(Input("raw", path, DIGEST, None)) for path in ("data", str(tmp_path / "corpus")))
    assert inside["annotations"] == {"kind": "source", "argument": "raw", "form": "tree", "outside": False}
    assert (outside["name"], outside["annotations"]["outside"]) == ("corpus", True)


@given(st.text("abc:/@. ~\n", max_size=20), st.text("abc", min_size=1, max_size=5), st.text("abc", min_size=4))
def test_no_password_of_a_url_is_shown(around, user, password):
    mark = f"{password}SECRET"
    assert mark not in public({"deep": [f"{around} https://{user}:{mark}@example.org/path"]})["deep"][0]


def test_what_is_harmless_stays():
    value = {"a": [1, 2.5, None, True], "b": "https://example.org/x@y", "c": "/think", "d": "user@example.org"}
    assert public(value) == value
    assert public("file:///data/private/corpus.txt") == "file:corpus.txt"
