"""What a record says of its surroundings: no secret, no place of this machine, the Slurm job."""

from hypothesis import given
from hypothesis import strategies as st

from stemma.provenance.describe import as_source, public, shown, slurm
from stemma.provenance.record import Input

DIGEST = "ab" * 32


def test_slurm_job_and_attempt(monkeypatch):
    assert slurm() == {"slurm_job_id": None, "slurm_attempt": None}
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    assert slurm() == {"slurm_job_id": "17", "slurm_attempt": 1}
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    assert slurm() == {"slurm_job_id": "17", "slurm_attempt": 3}


def test_source_elsewhere_is_named_by_its_last_component(tmp_path, monkeypatch):
    (tmp_path / "here/data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert shown("data/./x.txt") == "data/x.txt"
    assert shown(str(tmp_path / "here/data")) == "data"
    assert shown("../corpus") == "corpus"
    inside, outside = (as_source(Input("raw", path, DIGEST, None)) for path in ("data", str(tmp_path / "corpus")))
    assert inside == Input("raw", "data", DIGEST, None, form="tree", outside=False)
    assert outside == Input("raw", "corpus", DIGEST, None, form="file", outside=True)


@given(st.text("abc:/@. ~\n", max_size=20), st.text("abc", min_size=1, max_size=5), st.text("abc", min_size=4))
def test_no_password_of_a_url_is_shown(around, user, password):
    mark = f"{password}SECRET"
    assert mark not in public({"deep": [f"{around} https://{user}:{mark}@example.org/path"]})["deep"][0]


def test_what_is_harmless_stays():
    value = {"a": [1, 2.5, None, True], "b": "https://example.org/x@y", "c": "/think", "d": "user@example.org"}
    assert public(value) == value
    assert public("file:///data/private/corpus.txt") == "file:corpus.txt"
