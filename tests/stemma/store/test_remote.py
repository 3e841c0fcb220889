"""The shared store: read through, written back, never believed, never needed. S3 is moto's server over real HTTP."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from stemma.base.errors import StemmaError
from stemma.base.untrusted_files import Unusable
from stemma.provenance.dsse import public_pem
from stemma.provenance.publish import outputs_of
from stemma.store.local import object_name, record_name
from stemma.store.remote import SharedDirectory, SharedS3, Unavailable, shared_of
from tests.stemma.yard import Yard, check_pointers, check_store, make_yard

ALL_RUN, ALL_HIT = ["run"] * 3, ["hit"] * 3
ANY = 1 << 40  # bytes


@pytest.fixture(scope="module")
def s3():
    """A server of its own on a free port."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


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


def test_unreachable_bucket_fails_no_build(tmp_path, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    yard = make_yard(tmp_path, shared="s3://bucket/prefix")
    one_warning(yard, "cannot be used")


def test_missing_bucket_and_missing_credentials_fail_no_build(tmp_path, monkeypatch, s3):
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "PROFILE"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    one_warning(make_yard(tmp_path / "a", shared="s3://no-such-bucket/prefix"), "credentials")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    one_warning(make_yard(tmp_path / "b", shared="s3://no-such-bucket/prefix"), "NoSuchBucket")


BOMB = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">]>
<Error><Code>&d;</Code></Error>"""
ANSWERS = {  # status, headers, body
    "a page to log in": (200, {"Content-Type": "text/html"}, b"<html>log in</html>"),
    "an error without a code": (400, {}, b'<?xml version="1.0"?><Error></Error>'),
    "an error that grows": (403, {}, BOMB),
    "the way in a circle": (307, {"Location": "/x"}, b""),
    "a length that is none": (200, {"Content-Length": "abc"}, b"abc"),
    "a time that is none": (
        200,
        {"Last-Modified": "yesterday"},
        b"<ListBucketResult><Contents><Size>many</Size></Contents>",
    ),
    "packed bytes that are none": (200, {"Content-Encoding": "gzip"}, b"not gzip"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_is_no_s3_is_unusable_and_no_traceback(tmp_path, monkeypatch, answer):
    status, headers, body = ANSWERS[answer]

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body if self.command != "HEAD" else b"")

        do_GET = do_HEAD = do_PUT = answer

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    shared, file = SharedS3("s3://bucket/prefix"), tmp_path / "file"
    file.write_bytes(b"x")
    for question in (
        lambda: shared.has("objects/ab/c"),
        lambda: shared.read("objects/ab/c", 100),
        lambda: shared.fetch("objects/ab/c", tmp_path / "target", 100),
        lambda: shared.publish("objects/ab/c", file),
        lambda: list(shared.names("records/")),
    ):
        try:
            question()
        except (Unavailable, Unusable) as why:
            assert len(str(why)) <= 200
    server.shutdown()


def test_missing_directory_is_not_made(tmp_path):
    one_warning(make_yard(tmp_path / "yard", shared=str(tmp_path / "mount")), "the directory is not there")
    assert not (tmp_path / "mount").exists()


def one_warning(yard: Yard, text: str) -> None:
    """The job runs, says in one line what is wrong with the shared store, and its own store is in order."""
    status, error = yard.run("first")
    assert status == 0, error
    warnings = [line for line in error.splitlines() if line.startswith("warning:")]
    assert len(warnings) == 1
    assert text in warnings[0]
    assert len(error.splitlines()) == 2
    check_store(yard.store, yard.keyring)


def test_place_that_is_neither(tmp_path):
    for place in ("http://host/x", "s3://", "gs://bucket"):
        with pytest.raises(StemmaError, match="neither a directory nor"):
            shared_of(place)
    assert shared_of(None) is None
    with pytest.raises(Unavailable):
        SharedDirectory(tmp_path / "none").has("objects/a/b")


def test_a_job_without_a_shared_bucket_loads_no_boto3(tmp_path):
    (tmp_path / "shared").mkdir()
    yard = make_yard(tmp_path / "yard", shared=str(tmp_path / "shared"))
    code = "import sys; from stemma.__main__ import main; status = main(sys.argv[1:]); print('boto3' in sys.modules)"
    command = yard.command("first")
    done = subprocess.run(
        [sys.executable, "-c", code, *command[3:]], cwd=yard.path, capture_output=True, text=True, check=True,
        env=os.environ | {"STEMMA_ROOT": str(yard.path), "PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    assert done.stdout == "False\n"
    assert SharedDirectory(tmp_path / "shared").names("records/")


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
