"""A shared store that cannot be reached, is none, or answers anything: one warning, and the job runs."""

import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stemma.base.errors import StemmaError
from stemma.base.untrusted_files import Unusable
from stemma.store.remote import SharedDirectory, SharedS3, Unavailable, shared_of
from tests.stemma.yard import Yard, check_store, make_yard


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
