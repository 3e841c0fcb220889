"""Every kind of forgery is really done to a built toy, and named; what was honestly made is not blamed."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from stemma.base import digest
from stemma.provenance.dsse import Keyring, opened, seal
from stemma.provenance.slsa import SCHEMA, record_in, statement_of
from stemma.provenance.trust import shaped
from tests.stemma.conftest import Toy


def verify(toy: Toy, *arguments: str) -> tuple[int, dict]:
    """(exit status, findings)"""
    command = [sys.executable, "-m", "stemma", "verify", "--json", *arguments]
    done = subprocess.run(command, cwd=toy.path, capture_output=True, text=True, env=toy.environment, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def the_fault(toy: Toy, *arguments: str) -> str:
    """What is blamed; something must be."""
    status, found = verify(toy, *arguments)
    assert status == 1
    assert not found["verified"]
    return "\n".join(found["faults"])


def record_file(toy: Toy, path: str) -> Path:
    """Where the record of an artifact lies."""
    action = json.loads((toy.path / f"results/.records/{path}.json").read_text())["action"]
    return toy.path / f"results/.store/records/{action[:2]}/{action[2:]}.json"


def write(file: Path, data: bytes) -> None:
    """Replace a read-only file, not what is linked to it."""
    file.unlink()
    file.write_bytes(data)


def test_what_was_built_is_sound_and_keeps_to_the_schema(built: Toy):
    status, found = verify(built)
    assert (status, found["verified"], found["faults"], found["stale"]) == (0, True, [], [])
    assert (found["artifacts"], found["records"], len(found["keys"])) == (3, 3, 1)
    schema = json.loads(SCHEMA.read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    for file in (built.path / "results/.store/records").rglob("*.json"):
        statement = opened(file.read_bytes())
        jsonschema.validate(statement, schema)
        assert statement_of(record_in(statement)) == statement, "nothing is lost in reading it"
    assert verify(built, "results/joined.txt")[1]["artifacts"] == 2


def test_record_shows_no_path_of_the_machine(built: Toy):
    for file in (built.path / "results/.store/records").rglob("*.json"):
        assert str(built.path) not in json.dumps(opened(file.read_bytes()))


def test_edited_artifact(built: Toy):
    write(built.path / "results/joined.txt", b"forged")
    assert "results/joined.txt was changed after it was built" in the_fault(built)


def test_edited_and_added_file_of_a_directory(built: Toy):
    write(built.path / "results/parts/a.txt", b"forged")
    assert "results/parts/a.txt was changed" in the_fault(built, "results/final.txt")
    (built.path / "results/parts/c.txt").write_text("stray")
    assert "results/parts/c.txt is not listed" in the_fault(built)


def test_edited_record(built: Toy):
    file = record_file(built, "joined.txt")
    envelope = json.loads(file.read_bytes())
    payload = base64.b64decode(envelope["payload"]).replace(b"second", b"secone")
    write(file, digest.canonical(envelope | {"payload": base64.b64encode(payload).decode()}))
    found = the_fault(built)
    assert str(file.relative_to(built.path)) in found
    assert "signature that does not fit" in found


def test_signature_of_a_stranger(built: Toy, tmp_path: Path):
    file = record_file(built, "joined.txt")
    payload = base64.b64decode(json.loads(file.read_bytes())["payload"])
    write(file, seal(payload, Keyring(tmp_path / "stranger.pem")))
    assert "whom this run does not trust" in the_fault(built)


def test_record_edited_and_signed_again_breaks_the_chain(built: Toy):
    """The forger holds the key: the record's children still name it by its old digest."""
    file = record_file(built, "joined.txt")
    payload = base64.b64decode(json.loads(file.read_bytes())["payload"])
    payload = payload.replace(b'"threads":1', b'"threads":2')
    write(file, seal(payload, Keyring(built.path / "key.pem")))
    assert "not the one that made it" in the_fault(built)
    pointer = built.path / "results/.records/joined.txt.json"
    pointer.write_text(json.dumps(json.loads(pointer.read_text()) | {"record": digest.of_file(file)}))
    found = the_fault(built)
    assert "results/final.txt" in found
    assert "of its input results/joined.txt is missing, or was changed" in found


def test_swapped_and_deleted_records(built: Toy):
    one, two = record_file(built, "joined.txt"), record_file(built, "final.txt")
    first, second = one.read_bytes(), two.read_bytes()
    write(one, second)
    write(two, first)
    assert "is that of another action" in the_fault(built)
    one.unlink()
    assert "joined.txt: its record" in the_fault(built)


@pytest.mark.parametrize("kind", ["environment", "closure"])
def test_lost_object_of_a_record(built: Toy, kind: str):
    sha256 = shaped(record_file(built, "joined.txt").read_bytes()).objects[kind]
    (built.path / f"results/.store/objects/{sha256[:2]}/{sha256[2:]}").unlink()
    assert f"refers to the {kind}" in the_fault(built)


def test_changed_source_is_stale_and_no_fault(built: Toy):
    (built.path / "text.txt").write_text("other\n")
    status, found = verify(built)
    assert status == 0
    assert any("text.txt was changed since" in note for note in found["stale"])


def test_unknown_target_is_one_line(built: Toy):
    command = [sys.executable, "-m", "stemma", "verify", "results/nonsense.txt"]
    done = subprocess.run(command, cwd=built.path, capture_output=True, text=True, env=built.environment, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: results/nonsense.txt has no record")
