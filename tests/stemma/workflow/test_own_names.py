"""Names that the engine needs for itself below results/ are refused for outputs, before any job; others may be had."""

import contextlib
import re
import time
from pathlib import Path

import pytest

from stemma.base.digest import read_json
from stemma.base.errors import StemmaError
from stemma.base.settings import Settings
from stemma.store.artifact import OWN, Pointer, check_declared
from tests.stemma.conftest import ALL_RUN, Toy, jobs

FINAL = "results/final.txt"


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("results/run", "keeps something of its own in results/.records/run.json"),
        ("results/.store/x.txt", "keeps something of its own in results/.store"),
        ("results/.records/x.txt", "keeps something of its own in results/.records"),
        ("results/manifest.json", "results/ as a whole can be no artifact"),
        ("elsewhere/x.txt", "lies outside results/"),
        ("results/../x.txt", "lies outside results/"),
    ],
)
def test_names_that_the_engine_needs_are_refused(path: str, told: str):
    with pytest.raises(StemmaError, match=f"^{re.escape(path)}.*{re.escape(told)}"):
        check_declared(path)


def test_they_are_refused_before_any_job(toy: Toy):
    toy.replace("Snakefile", f'"{FINAL}"', '"results/run"')
    for command in (["-n"], []):
        done = toy.snakemake(*command)
        assert done.returncode == 1
        assert jobs(done) == []
        [line] = [line for line in (done.stdout + done.stderr).splitlines() if "error: " in line]
        assert line.startswith("error: results/run: the engine keeps")


@pytest.mark.parametrize("path", ["results/jobs", "results/run/x.txt", "results/run.txt", "results/a.b/manifest.json"])
def test_all_others_may_be_had(path: str):
    check_declared(path)


def test_what_is_noted_of_jobs_is_not_in_the_way(toy: Toy):
    toy.replace("Snakefile", f'"{FINAL}"', '"results/jobs/final.txt"')
    assert toy.build() == ALL_RUN
    toy.replace("config.yaml", "times: 2", "times: 3")
    assert toy.build("results/joined.txt") == ALL_RUN[:2]  # a run clears what the one before it noted
    assert (toy.path / "results/.records/jobs/final.txt.json").exists()


def test_those_are_all_that_it_needs(built: Toy):
    """What lies beside the pointers and is none."""
    built.replace("config.yaml", "times: 2", "times: 3")
    time.sleep(2.1)  # digests of younger sources are not kept
    built.build()
    (built.path / "results/joined.txt").touch()
    assert built.build() == []
    records = built.path / "results/.records"
    found = {file.name for file in records.glob("*.json") if Pointer.of_json(read_json(file)) is None}
    assert found == {f"{name}.json" for name in OWN}
    assert {file.name for file in Path(records).glob("*.json")} - found == {"final.txt.json", "joined.txt.json"}


@pytest.mark.parametrize("place", ["results", "results/parts", "results/parts/x", "./results/../results/parts"])
def test_neither_store_nor_key_lies_among_the_outputs(tmp_path: Path, place: str):
    """They would be set aside, with all that is in them."""
    with contextlib.chdir(tmp_path):
        for name, settings in {
            "store": Settings(store=place), "shared_store": Settings(shared=place),
            "signing.key": Settings(key=place), "signing.trusted": Settings(trusted=(place,)),
        }.items():  # fmt: skip
            with pytest.raises(StemmaError, match=re.escape(f"config: {name}: {place} lies where outputs do")):
                settings.check_places()
        Settings("results/.other", "s3://bucket/results", "../key.pem", ("keys/results/a.pem",)).check_places()
        Settings(shared=str(tmp_path / "results-of-all")).check_places()


def test_it_is_told_before_any_job(toy: Toy):
    toy.replace("Snakefile", 'key="key.pem"', 'key="key.pem", store="results/parts"')
    done = toy.snakemake()
    assert (done.returncode, jobs(done)) == (1, [])
    assert "error: config: store: results/parts lies where outputs do" in done.stderr
    assert not (toy.path / "results/parts").exists()
