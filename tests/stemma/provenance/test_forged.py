"""What others write into a shared store or beside one's results: it stops no build, and nothing unsigned is used."""

import argparse
import base64
import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stemma.base import digest
from stemma.base.errors import StemmaError
from stemma.base.settings import Settings
from stemma.base.typed_json import made
from stemma.commands.sign import handle as sign
from stemma.planning.expected_keys import Keys
from stemma.planning.planned_jobs import KEPT, Kept, KeptPlan
from stemma.provenance.dsse import Keyring, key_id, opened, seal
from stemma.provenance.trust import Records, shaped
from stemma.store import artifact
from stemma.store.local import Store, object_name, record_name
from stemma.store.remote import SharedDirectory
from stemma.workflow.cache_lookup import Foresight
from tests.stemma.conftest import Toy
from tests.stemma.execute.test_faults import copy_of
from tests.stemma.store.test_remote import ALL_HIT, action_of
from tests.stemma.yard import Yard, check_pointers, check_store, filled_team, how_of


@pytest.fixture
def team(tmp_path: Path) -> tuple[Yard, Yard]:
    return filled_team(tmp_path)


def envelope_of(payload: bytes, kind: str = "application/vnd.in-toto+json", keyid: str = "0" * 64) -> bytes:
    """An envelope as anybody can write it."""
    signature = {"keyid": keyid, "sig": base64.b64encode(b"no signature").decode()}
    value = {"payload": base64.b64encode(payload).decode(), "payloadType": kind, "signatures": [signature]}
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


DEEP = b"[" * 200_000
STRANGE = {
    "deep": DEEP,
    "deep and closed": DEEP + b"]" * 200_000,
    "deep payload": envelope_of(DEEP),
    "surrogate in payloadType": envelope_of(b"{}", kind="\ud800"),
    "surrogate in keyid": envelope_of(b"{}", keyid="\ud800"),
    "surrogate in the payload": envelope_of(b'{"a":"\\ud800"}'),
    "empty": b"",
    "null": b"null",
    "number": b"1" * 10_000,
    "no UTF-8": b'{"payload":"\xff"}',
    "UTF-16": '{"payload":"e30="}'.encode("utf-16"),
    "no base64": envelope_of(b"{}").replace(b'"payload":"e30="', b'"payload":"e30"'),
    "lists": b'{"payload":[],"payloadType":[],"signatures":[[]]}',
    "objects": b'{"payload":{},"payloadType":{},"signatures":{"keyid":{}}}',
    "no keyid": b'{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":null}]}',
}


def put(place: Path, data: bytes) -> None:
    """Replace a file of a store."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.write_bytes(data)


def warnings(error: str) -> list[str]:
    return [line for line in error.splitlines() if line.startswith("warning:")]


@pytest.mark.parametrize("kind", STRANGE)
def test_what_is_no_record_is_none_and_one_warning(tmp_path: Path, capsys: pytest.CaptureFixture, kind: str):
    (tmp_path / "shared/records/ab").mkdir(parents=True)
    records = Records(Store(tmp_path / "store", SharedDirectory(tmp_path / "shared")), Keyring(tmp_path / "key.pem"))
    for key, place in (("ab" * 32, tmp_path / "shared"), ("ac" * 32, tmp_path / "store")):
        put(place / record_name(key), STRANGE[kind])
        assert records.read(key) is None
        assert records.read(key) is None
        [warning] = warnings(capsys.readouterr().err)
        assert str(place / record_name(key)) in warning
        assert warning.isprintable()


@pytest.mark.parametrize("kind", ["deep", "surrogate in keyid"])
def test_what_is_no_record_stops_no_build(team: tuple[Yard, Yard], tmp_path: Path, kind: str):
    one, two = team
    name = record_name(action_of(one, "results/final.txt"))
    put(tmp_path / "shared" / name, STRANGE[kind])
    assert [how_of(two.run(rule)[1]) for rule in ("first", "second")] == ["hit", "hit"]
    status, error = two.run("third")
    assert status == 0, error
    [warning] = warnings(error)
    assert f"{tmp_path}/shared/{name}" in warning
    assert how_of(error) == "run"
    shutil.rmtree(two.path / "results")  # what stood there was replaced
    assert two.build() == ALL_HIT
    assert two.digests() == one.digests()
    check_store(two.store, two.keyring)
    check_pointers(two)


def resealed(yard: Yard, action: str, change: Callable[[dict], None], keyring: Keyring) -> bytes:
    """The record of an action, changed, in an envelope of a key."""
    record = opened(yard.store.record_path(action).read_bytes())
    change(record)
    return seal(digest.canonical(record), keyring)


def object_in(place: Path, data: bytes) -> str:
    """Put an object into a store, and return its digest."""
    put(place / object_name(digest.of_bytes(data)), data)
    return digest.of_bytes(data)


def manifest_with(name: str, sha256: str, size: int) -> bytes:
    return (json.dumps({"files": [{"path": name, "size": size, "sha256": sha256}]}, indent=1) + "\n").encode()


@pytest.mark.parametrize("name", ["../../sitecustomize.py", "{}/outside.py", "a\nb", "x/../../../sitecustomize.py"])
def test_trusted_signer_writes_nowhere_but_in_the_artifact(team: tuple[Yard, Yard], tmp_path: Path, name: str):
    one, two = team
    action = action_of(one, "results/parts/manifest.json")
    evil = object_in(tmp_path / "shared", b"raise SystemExit('caught')")
    listed = object_in(tmp_path / "shared", manifest_with(name.format(tmp_path), evil, 26))

    def change(record: dict) -> None:
        record["subject"][0]["digest"]["sha256"] = listed

    put(tmp_path / "shared" / record_name(action), resealed(one, action, change, two.keyring))
    before = below(tmp_path)
    status, error = two.run("first")
    assert status == 0, error
    [warning] = warnings(error)
    assert f"{listed[:2]}/{listed[2:]}" in warning and "it is not used" in warning and warning.isprintable()
    assert how_of(error) == "run"
    assert two.digests()["parts/a.txt"] == one.digests()["parts/a.txt"]
    made = below(tmp_path) - before
    assert all(path.startswith(("two/results", "shared/records", "shared/objects", "shared/tmp")) for path in made)


def below(folder: Path) -> set[str]:
    """Everything in it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def without_subject(record: dict) -> None:
    del record["subject"]


def with_another_shape(record: dict) -> None:
    record["predicate"]["runDetails"]["stemma_keys"] = [1]


def with_a_climbing_subject(record: dict) -> None:
    record["subject"][0]["name"] = "../x"


def with_a_control_character(record: dict) -> None:
    record["predicate"]["buildDefinition"]["externalParameters"]["rule"] = "\x1b[2Jfirst"


@pytest.mark.parametrize(
    "change", [without_subject, with_another_shape, with_a_climbing_subject, with_a_control_character]
)
def test_record_of_a_trusted_key_that_breaks_the_schema(tmp_path: Path, half: Yard, capsys, change):
    """It is checked when it is served, and when anything else reads it."""
    action = action_of(half, "results/final.txt")
    envelope = resealed(half, action, change, half.keyring)
    put(tmp_path / "store" / record_name(action), envelope)
    records = Records(Store(tmp_path / "store"), half.keyring)
    assert records.read(action) is None
    [warning] = warnings(capsys.readouterr().err)
    assert "does not keep to the schema" in warning and warning.isprintable()
    assert shaped(envelope) is None


def test_signed_payload_counts_in_its_one_spelling(tmp_path: Path, half: Yard, capsys):
    action = action_of(half, "results/final.txt")
    payload = digest.canonical(opened(half.store.record_path(action).read_bytes()))
    deep = payload.replace(b'"stemma_metrics":{', b'"stemma_metrics":{"a":' + b"[" * 900 + b"]" * 900 + b",")
    twice = payload.replace(b'"subject":', b'"subject":[],"subject":')
    half_a_pair = payload.replace(b'"stemma_metrics":{', b'"stemma_metrics":{"a":"\\ud800",')
    for text in (b" " + payload, deep, twice, half_a_pair, b"[" * 100_000, b"\xff", b"null"):
        put(tmp_path / "store" / record_name(action), seal(text, half.keyring))
        assert Records(Store(tmp_path / "store"), half.keyring).read(action) is None
        assert "does not hold an in-toto statement" in capsys.readouterr().err
    put(tmp_path / "store" / record_name(action), seal(payload, half.keyring))
    assert Records(Store(tmp_path / "store"), half.keyring).read(action) is not None


def forge(yard: Yard, path: str, data: bytes, **pointer: object) -> None:
    """Other bytes at an artifact's place, and a pointer that states them."""
    file = yard.path / path
    put(file, data)
    name = yard.path / f"results/.records/{file.relative_to(yard.path / 'results')}.json"
    value = json.loads(name.read_text()) | {"sha256": digest.of_bytes(data)} | pointer
    put(name, json.dumps(value).encode())


@pytest.fixture
def yard(tmp_path: Path, half: Yard) -> Yard:
    """One that is built; `times` is 2."""
    return copy_of(half, tmp_path / "yard", 2)


@pytest.mark.parametrize("how", ["pointer", "no action", "unsigned record", "a stranger's record", "another output"])
def test_artifact_and_pointer_forged_together_are_not_consumed(yard: Yard, tmp_path: Path, how: str):
    forged = b"forged"
    (yard.path / "results/final.txt").unlink()
    action = action_of(yard, "results/joined.txt")
    pointer: dict[str, object] = {}
    if how == "no action":
        pointer["action"] = "ab" * 32
    if how == "another output":
        pointer["output"], pointer["position"] = "final", -1
    if "record" in how:

        def change(record: dict) -> None:
            record["subject"][0]["digest"]["sha256"] = digest.of_bytes(forged)

        envelope = resealed(yard, action, change, Keyring(tmp_path / "stranger.pem"))
        if how == "unsigned record":
            envelope = envelope.replace(
                key_id(Keyring(tmp_path / "stranger.pem").signer.public_key()).encode(), b"0" * 64
            )
        put(yard.store.record_path(action), envelope)
        pointer["record"] = digest.of_bytes(envelope)
    forge(yard, "results/joined.txt", forged, **pointer)
    before = below(yard.store.path / "records")
    status, error = yard.run("third")
    assert status == 2
    assert error.splitlines()[-1].startswith(
        "error: third results/final.txt: results/joined.txt: no record that counts"
    )
    assert not (yard.path / "results/final.txt").exists()
    assert below(yard.store.path / "records") == before
    (yard.path / "results/joined.txt").unlink()  # as the line says
    assert yard.run("second")[0] == 0
    assert yard.run("third")[0] == 0
    check_pointers(yard)
    check_store(yard.store, yard.keyring)


def test_record_of_a_trusted_key_that_names_other_inputs(yard: Yard):
    """It answers the action all the same; a record that nobody has cannot be replaced by that of an input it names."""
    assert yard.run("second")[0] == 0

    def with_another_input(statement: dict) -> None:
        for item in statement["predicate"]["buildDefinition"]["resolvedDependencies"]:
            if item["annotations"]["kind"] == "input":
                item["digest"]["sha256"] = item["annotations"]["record"] = "0" * 64

    action = action_of(yard, "results/joined.txt")
    put(yard.store.record_path(action), resealed(yard, action, with_another_input, yard.keyring))
    status, error = yard.run("second")
    assert (status, how_of(error)) == (0, "hit"), error


def test_forged_model_is_not_signed(yard: Yard):
    sha256 = digest.of_bytes(b"forged")
    forge(yard, "results/parts/manifest.json", manifest_with("a.txt", sha256, 6))
    put(yard.path / "results/parts/a.txt", b"forged")
    (yard.path / "results/parts/b.txt").unlink()
    with contextlib.chdir(yard.path), pytest.raises(StemmaError, match="no record that counts"):
        sign(argparse.Namespace(manifest=Path("results/parts/manifest.json")))
    assert not (yard.path / "results/parts/model.sig").exists()


def test_job_is_not_kept_on_the_head_node_for_a_strangers_record(built: Toy, tmp_path: Path):
    """On a cluster what the store holds is served where snakemake runs; what is then no hit would be computed there."""
    with contextlib.chdir(built.path):
        kept = KeptPlan(made(Kept, digest.read_json(KEPT)).jobs)
        records = Records.of(Settings.here())
        job = kept.maker("results/final.txt")
        assert Foresight(Keys(kept, built.path, "native"), records).holds(job)
        action = artifact.read_pointer(Path("results/final.txt")).action
        payload = digest.canonical(opened(records.store.own_envelope(action)))
        put(records.store.record_path(action), seal(payload, Keyring(tmp_path / "stranger.pem")))
        assert not Foresight(Keys(kept, built.path, "native"), records).holds(job)
