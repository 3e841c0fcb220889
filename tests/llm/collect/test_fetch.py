"""Fetching: pinned digests, pip's indexes, and every failure as one clear line. No network but
loopback."""

import hashlib
import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm.collect import download
from llm.collect.fetch import Pin, fetch
from tests.llm.collect.fetching import closed_port, fails

ARCHIVE = b"the archive's bytes" * 100
SHA256 = hashlib.sha256(ARCHIVE).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves a few paths; keeps the requests it saw in server.seen."""

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers.get("Authorization")))
        simple = b'<a href="../../files/tool-1.0.tar.gz#sha256=0">tool-1.0.tar.gz</a><a href="tool-2.0.tar.gz">x</a>'
        match self.path:
            case "/a.tar.gz" | "/files/tool-1.0.tar.gz":
                self.answer(ARCHIVE)
            case "/short":
                self.answer(ARCHIVE[:100], length=len(ARCHIVE))
            case "/moved":
                self.send_response(302)
                self.send_header("Location", f"http://localhost:{self.server.server_port}/a.tar.gz")
                self.end_headers()
            case "/simple/tool/":
                self.answer(simple, kind="text/html")
            case "/json/tool/":
                files = {
                    "files": [
                        {"filename": "tool-1.0.tar.gz", "url": "/a.tar.gz?x=tool-1.0.tar.gz"},
                        {"filename": "tool-1.0.tar.gz", "url": "/files/tool-1.0.tar.gz"},
                    ]
                }
                self.answer(json.dumps(files).encode(), kind="application/vnd.pypi.simple.v1+json")
            case "/portal/tool/":
                self.answer(b"<html>Log in", kind="application/vnd.pypi.simple.v1+json")
            case "/list/tool/":
                self.answer(b'{"files": [1]}', kind="application/json")
            case "/cut/tool/":
                self.answer(simple[:20], length=len(simple), kind="text/html")
            case "/odd/tool/":
                self.answer(b'<a href="http://[x/tool-1.0.tar.gz">' + simple, kind="text/html")
            case "/busy":
                self.send_error(503)
            case _:
                self.send_error(404)

    def answer(self, body: bytes, *, length: int | None = None, kind: str = "application/octet-stream") -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length or len(body)))
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.seen = []
        running.root = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def pip_config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Make pip see this configuration only."""
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_CERT"):
        monkeypatch.delenv(name, raising=False)

    def write(**values: str) -> None:
        lines = [f"{key.replace('_', '-')} = {value}" for key, value in values.items()]
        (tmp_path / "pip.conf").write_text("\n".join(["[global]", *lines]))
        monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    return write


# ---- url


def test_url_over_http_and_file(tmp_path: Path, server) -> None:
    (tmp_path / "here.tar.gz").write_bytes(ARCHIVE)
    for url in (server.root + "/a.tar.gz", (tmp_path / "here.tar.gz").as_uri()):
        metrics = fetch(Pin("url", url, "", SHA256), tmp_path / "archive")
        assert (tmp_path / "archive").read_bytes() == ARCHIVE
        assert (metrics["bytes"], metrics["from"]) == (len(ARCHIVE), url)


def test_wrong_and_missing_sha256(tmp_path: Path, server) -> None:
    line = fails(tmp_path, Pin("url", server.root + "/a.tar.gz", "", "0" * 64), "pinned is 0000")
    assert SHA256 in line
    fails(tmp_path, Pin("url", server.root + "/a.tar.gz", "", ""), f"has sha256: {SHA256}")
    fails(tmp_path, Pin("url", server.root + "/a.tar.gz", "", "ABC"), "not 64 lower-case hex digits")


def test_url_failures(tmp_path: Path, server) -> None:
    fails(tmp_path, Pin("url", server.root + "/nowhere", "", SHA256), "answers 404")
    fails(tmp_path, Pin("url", server.root + "/short", "", SHA256), "truncated, 100 of 1,900 bytes")
    fails(tmp_path, Pin("url", f"http://127.0.0.1:{closed_port()}/a", "", SHA256), "cannot be reached")
    fails(tmp_path, Pin("url", (tmp_path / "no.tar").as_uri(), "", SHA256), "No such file")
    fails(tmp_path, Pin("url", "ftp://127.0.0.1/a", "", SHA256), "only http://")
    fails(tmp_path, Pin("torrent", "x", "", SHA256), "use url, apt or pypi")


def test_a_busy_server_is_asked_again(tmp_path: Path, server) -> None:
    fails(tmp_path, Pin("url", server.root + "/busy", "", SHA256), "cannot be reached .503")
    assert len(server.seen) == download.ATTEMPTS


def test_credentials_reach_their_host_only_and_no_message(tmp_path: Path, server) -> None:
    secret = server.root.replace("//", "//user:secret@")
    metrics = fetch(Pin("url", secret + "/moved", "", SHA256), tmp_path / "archive")
    assert [authorization is not None for _, authorization in server.seen] == [True, False]
    assert "secret" not in metrics["from"]
    assert "secret" not in fails(tmp_path, Pin("url", secret + "/nowhere", "", SHA256), "404")
    assert "secret" not in fails(tmp_path, Pin("url", secret + "/a.tar.gz", "", "0" * 64), "pinned")


def test_credentials_of_netrc_reach_their_host_only(tmp_path: Path, server, monkeypatch) -> None:
    kept = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(kept))
    kept.write_text("machine elsewhere login a password b\ndefault login c password d\n")
    fetch(Pin("url", server.root + "/a.tar.gz", "", SHA256), tmp_path / "archive")
    kept.write_text("machine 127.0.0.1 login user password secret\n")
    fetch(Pin("url", server.root + "/moved", "", SHA256), tmp_path / "archive")
    assert [authorization is not None for _, authorization in server.seen] == [False, True, False]
    kept.write_text("machine 127.0.0.1 login user passwort secret\n")
    assert "secret" not in fails(tmp_path, Pin("url", server.root + "/a.tar.gz", "", SHA256), "line 1 is not in netrc")


# ---- pypi


def tool(sha256: str = SHA256, file: str = "tool-1.0.tar.gz") -> Pin:
    return Pin("pypi", "Tool==1.0", file, sha256)


@pytest.mark.parametrize("place", ["simple", "json"])
def test_pypi_from_an_index(tmp_path: Path, server, pip_config, place: str) -> None:
    pip_config(index_url=f"{server.root}/{place}/")
    assert fetch(tool(), tmp_path / "archive")["from"] == server.root + "/files/tool-1.0.tar.gz"


def test_pypi_from_the_environment_and_find_links(tmp_path: Path, pip_config, monkeypatch) -> None:
    wheels = tmp_path / "wheels"
    (wheels / "simple/tool").mkdir(parents=True)
    (wheels / "tool-1.0.tar.gz").write_bytes(ARCHIVE)
    pip_config(no_index="true", find_links=str(wheels))
    fetch(tool(), tmp_path / "archive")
    (wheels / "simple/tool/index.html").write_text('<a href="../../tool-1.0.tar.gz">')
    pip_config()
    monkeypatch.setenv("PIP_INDEX_URL", (wheels / "simple").as_uri())
    fetch(tool(), tmp_path / "archive")


def test_pypi_takes_the_index_whose_archive_has_the_digest(tmp_path: Path, server, pip_config) -> None:
    other = tmp_path / "other/tool"
    other.mkdir(parents=True)
    (other / "tool-1.0.tar.gz").write_bytes(b"another build of the same version")
    pip_config(index_url=other.parent.as_uri(), extra_index_url=f"{server.root}/simple/")
    assert fetch(tool(), tmp_path / "archive")["from"].startswith(server.root)
    fails(tmp_path, tool("0" * 64), "pinned is 0000")


def test_pypi_failures(tmp_path: Path, server, pip_config) -> None:
    pip_config(index_url=f"{server.root}/simple/")
    fails(tmp_path, tool(file="tool-1.1.tar.gz"), "it has tool-1.0.tar.gz")
    fails(tmp_path, Pin("pypi", "nonesuch==1.0", "nonesuch-1.0.tar.gz", SHA256), "check name and version")
    fails(tmp_path, Pin("pypi", "tool", "tool-1.0.tar.gz", SHA256), "write package==version")
    fails(tmp_path, Pin("pypi", "tool==1.0", "", SHA256), "say which archive")
    pip_config(index_url=f"http://127.0.0.1:{closed_port()}/simple")
    fails(tmp_path, tool(), "cannot be reached")
    for place, problem in (("portal", "no index's page"), ("list", "no index's page"), ("cut", "the page broke off")):
        pip_config(index_url=f"{server.root}/{place}/")
        fails(tmp_path, tool(), problem)


def test_an_address_that_is_none_hides_no_other(tmp_path: Path, server, pip_config) -> None:
    pip_config(index_url=f"{server.root}/odd/")
    assert fetch(tool(), tmp_path / "archive")["from"] == server.root + "/files/tool-1.0.tar.gz"


def test_pypi_credentials(tmp_path: Path, server, pip_config) -> None:
    pip_config(index_url=f"{server.root.replace('//', '//user:secret@')}/simple/")
    assert "secret" not in fetch(tool(), tmp_path / "archive")["from"]
    assert all(authorization for _, authorization in server.seen)


def test_script_by_hand(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(ARCHIVE)
    command = [sys.executable, "scripts/collect/fetch.py", "--archive", str(tmp_path / "archive"), "--kind", "url"]
    command += ["--pin", (tmp_path / "a.txt").as_uri(), "--file", "", "--sha256"]
    done = subprocess.run([*command, SHA256], capture_output=True, text=True, env={"PYTHONPATH": "."})
    assert json.loads(done.stdout)["bytes"] == len(ARCHIVE)
    done = subprocess.run([*command, "0" * 64], capture_output=True, text=True, env={"PYTHONPATH": "."})
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pinned is" in done.stderr
