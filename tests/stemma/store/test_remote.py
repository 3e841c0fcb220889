"""The shared store: read through, written back, never believed, never needed. S3 is moto's server over real HTTP."""

import os
import shutil
from pathlib import Path

import pytest

from stemma.base.untrusted_files import Unusable
from stemma.provenance.dsse import public_pem
from stemma.provenance.publish import outputs_of
from stemma.store.local import object_name, record_name
from stemma.store.remote import SharedS3, shared_of
from tests.stemma.yard import Yard, check_pointers, check_store, make_yard

ALL_RUN, ALL_HIT = ["run"] * 3, ["hit"] * 3
ANY = 1 << 40  # bytes


@pytest.fixture(params=["directory", pytest.param("s3", marks=pytest.mark.thorough)])
def place(request, tmp_path, monkeypatch) -> str:
    """An empty shared store, as one writes it into the config."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    if request.param == "directory":
        (tmp_path / "shared").mkdir()
        return str(tmp_path / "shared")
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("s3"))
    bucket = f"b{os.getpid()}-{abs(hash(str(tmp_path))) % 10**8}"
    SharedS3(f"s3://{bucket}").client.create_bucket(Bucket=bucket)
    return f"s3://{bucket}/team/stemma"


both = pytest.mark.parametrize("place", ["directory", "s3"], indirect=True)


@pytest.fixture
def team(tmp_path, place) -> tuple[Yard, Yard]:
    """Two checkouts with a store of their own each, one key, one shared store."""
    key = str(tmp_path / "key.pem")
    return tuple(make_yard(tmp_path / name, shared=place, key=key) for name in ("one", "two"))


def names(place: str) -> set[str]:
    return {name for prefix in ("objects/", "records/") for name in shared_of(place).names(prefix)}


def damage(place: str, name: str, tmp_path: Path) -> None:
    """Flip a bit of what the shared store holds."""
    shared, file = shared_of(place), tmp_path / "damaged"
    assert shared.fetch(name, file, ANY)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.unlink()
    file.write_bytes(data)
    shared.publish(name, file)


@both
def test_interface(place, tmp_path):
    shared, file, target = shared_of(place), tmp_path / "file", tmp_path / "target"
    file.write_bytes(b"abc" * 5_000_000)
    assert not shared.has("objects/ab/c")
    assert not shared.fetch("objects/ab/c", target, ANY)
    shared.publish("objects/ab/c", file)
    assert shared.has("objects/ab/c")
    assert shared.fetch("objects/ab/c", target, ANY)
    assert target.read_bytes() == file.read_bytes()
    target.unlink()
    file.unlink()
    file.write_bytes(b"second")
    shared.publish("objects/ab/c", file)
    assert shared.fetch("objects/ab/c", target, ANY)
    assert target.read_bytes() == b"second"
    assert list(shared.names("objects/")) == ["objects/ab/c"]
    assert list(shared.names("records/")) == []


@both
def test_no_more_is_taken_than_was_asked_for(place, tmp_path):
    shared, file, target = shared_of(place), tmp_path / "file", tmp_path / "target"
    file.write_bytes(b"abc" * 5_000_000)
    shared.publish("objects/ab/c", file)
    assert shared.read("objects/ab/c", 15_000_000) == file.read_bytes()
    assert shared.read("objects/ab/d", 100) is None
    assert shared.fetch("objects/ab/c", target, 15_000_000)
    target.unlink()
    with pytest.raises(Unusable):
        shared.read("objects/ab/c", 14_999_999)
    with pytest.raises(Unusable):
        shared.fetch("objects/ab/c", target, 14_999_999)
    assert not target.exists() or target.stat().st_size <= 14_999_999


@both
def test_pushed_from_one_checkout_hit_in_another(team, tmp_path):
    one, two = team
    assert one.build() == ALL_RUN
    assert two.build() == ALL_HIT
    assert two.digests() == one.digests()
    for yard in team:
        check_store(yard.store, yard.keyring)
        check_pointers(yard)
    stored = (file for kind in ("objects", "records") for file in (one.store.path / kind).glob("*/*"))
    files = {str(file.relative_to(one.store.path)) for file in stored}
    assert names(one.settings.shared) == files
    shutil.rmtree(two.path / "results")
    two.settings = one.settings
    assert two.build() == ALL_HIT


def test_what_was_not_published_is_on_a_later_hit(team):
    one, two = team
    shared, one.settings = one.settings, make_settings(one, shared=None)
    assert one.build() == ALL_RUN
    assert names(shared.shared) == set()
    one.settings = shared
    assert one.build() == ALL_HIT
    assert two.build() == ALL_HIT


@both
def test_damaged_object_is_named_not_served_and_replaced(team, tmp_path):
    one, two = team
    one.build()
    place = one.settings.shared
    record = one.records.read(action_of(one, "results/joined.txt"))
    name = object_name(next(outputs_of(one.store, record)))
    damage(place, name, tmp_path)
    status, error = two.run("first")
    assert status == 0
    status, error = two.run("second")
    assert status == 0
    assert error.splitlines()[-1].split()[-3] == "run"
    warnings = [line for line in error.splitlines() if line.startswith("warning:")]
    assert len(warnings) == 1
    assert f"{place}/{name} is damaged" in warnings[0]
    assert two.run("third")[0] == 0
    assert two.digests() == one.digests()
    check_store(two.store, two.keyring)
    check_pointers(two)
    shutil.rmtree(two.path / "results")
    assert two.build() == ALL_HIT


def test_record_of_a_strangers_key_is_not_served_and_gives_way(team, tmp_path):
    one, two = team
    one.settings = make_settings(one, key=str(tmp_path / "stranger.pem"))
    assert one.build() == ALL_RUN
    assert two.build() == ALL_RUN
    check_store(two.store, two.keyring)
    shutil.rmtree(two.path / "results")
    assert two.build() == ALL_HIT


def test_record_of_a_trusted_key_is_served_and_left_alone(team, tmp_path):
    one, two = team
    one.settings = make_settings(one, key=str(tmp_path / "colleague.pem"))
    assert one.build() == ALL_RUN
    public = tmp_path / "colleague.pub"
    public.write_bytes(public_pem(one.keyring.signer.public_key()))
    two.settings = make_settings(two, trusted=(str(public),))
    before = {name: content(one.settings.shared, name, tmp_path) for name in names(one.settings.shared)}
    assert two.build() == ALL_HIT
    assert {name: content(one.settings.shared, name, tmp_path) for name in names(one.settings.shared)} == before
    check_store(two.store, two.keyring)


def test_record_of_another_action_is_not_served(team, tmp_path):
    """Whoever can write to the shared store but has no key could exchange signed records."""
    one, two = team
    one.build()
    one.times = 3
    assert one.build() == ALL_RUN
    shared, file = shared_of(one.settings.shared), tmp_path / "record"
    one_key = action_of(one, "results/parts/manifest.json")
    records = (name for name in names(one.settings.shared) if name.startswith("records/"))
    other = next(name for name in records if is_first(shared, name, file, one_key))
    shared.fetch(other, file, ANY)
    shared.publish(record_name(one_key), file)
    two.times = 3
    assert two.run("first")[1].splitlines()[-1].split()[-3] == "run"
    assert two.digests()["parts/a.txt"] == one.digests()["parts/a.txt"]
    check_store(two.store, two.keyring)


def test_truncated_record_is_replaced(team, tmp_path):
    one, two = team
    one.build()
    shared, file = shared_of(one.settings.shared), tmp_path / "record"
    name = record_name(action_of(one, "results/final.txt"))
    shared.fetch(name, file, ANY)
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:100])
    shared.publish(name, file)
    assert two.build() == ["hit", "hit", "run"]
    check_store(two.store, two.keyring)
    shutil.rmtree(two.path / "results")
    assert two.build() == ALL_HIT


def make_settings(yard: Yard, **changes):
    """The yard's settings with some changed."""
    from dataclasses import replace

    return replace(yard.settings, **changes)


def action_of(yard: Yard, path: str) -> str:
    """The action key of what stands at a path."""
    from stemma.base.digest import read_json

    return read_json(yard.path / f"results/.records/{Path(path).relative_to('results')}.json")["action"]


def content(place: str, name: str, tmp_path: Path) -> bytes:
    """The bytes that the shared store holds."""
    file = tmp_path / "content"
    file.unlink(missing_ok=True)
    assert shared_of(place).fetch(name, file, ANY)
    return file.read_bytes()


def is_first(shared, name: str, file: Path, but: str) -> bool:
    """Is this a record of the rule `first`, not that of the action `but`?"""
    from stemma.provenance.trust import shaped

    file.unlink(missing_ok=True)
    shared.fetch(name, file, ANY)
    return shaped(file.read_bytes()).rule == "first" and name != record_name(but)
