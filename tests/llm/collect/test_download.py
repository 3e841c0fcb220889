"""Downloads that break: what arrived is kept and continued, versions are never joined, servers are not pressed."""

import contextlib
import hashlib
import http.server
import threading
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

from llm.collect import download, resume
from llm.collect.fetch import Pin, fetch
from llm.errors import InputError

BODY = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(BODY).hexdigest()
OTHER = BODY[::-1]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as server.script says, one word for each request: what goes wrong with it."""

    def do_GET(self) -> None:
        server = self.server
        server.seen.append((self.headers.get("Range"), self.headers.get("If-Range")))
        fault = server.script.pop(0) if server.script else "whole"
        body, tag = (OTHER, '"2"') if fault in ("other", "other ignoring") else (BODY, '"1"')
        if fault.startswith("busy"):
            self.send_response(429)
            self.send_header("Retry-After", fault.removeprefix("busy "))
            self.end_headers()
            return
        begin = 0
        asked = self.headers.get("Range")
        same = self.headers.get("If-Range") == tag or fault == "other ignoring"
        if asked and same and fault not in ("deaf", "no tag"):
            begin = int(asked.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        if "no tag" not in fault:
            self.send_header("ETag", tag)
        rest = body[begin:]
        self.send_header("Content-Length", str(len(rest) + 50 if fault == "too long" else len(rest)))
        self.end_headers()
        self.wfile.write(rest[: len(rest) // 2] if "drop" in fault else rest)

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.seen, running.script = [], []
        running.url = f"http://127.0.0.1:{running.server_port}/a.tar"
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(download.time, "sleep", found.append)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return found


def fetched(server, tmp_path: Path, script: list[str]) -> list[tuple[str | None, str | None]]:
    server.script, server.seen = script, []
    fetch(Pin("url", server.url, "", SHA256), tmp_path / "archive")
    assert (tmp_path / "archive").read_bytes() == BODY
    assert [path.name for path in resume.cache().iterdir()] == ["hosts"]
    return server.seen


def test_a_dropped_connection_goes_on(server, tmp_path: Path) -> None:
    half = len(BODY) // 2
    seen = fetched(server, tmp_path, ["drop", "drop"])
    assert seen == [(None, None), (f"bytes={half}-", '"1"'), (f"bytes={half + half // 2}-", '"1"')]


@pytest.mark.parametrize("fault", ["deaf", "no tag"])
def test_a_server_that_ignores_range_is_read_from_the_start(server, tmp_path: Path, fault: str) -> None:
    assert len(fetched(server, tmp_path, ["drop", fault])) == 2


def test_without_a_version_nothing_is_resumed(server, tmp_path: Path) -> None:
    assert fetched(server, tmp_path, ["drop no tag"]) == [(None, None), (None, None)]


def test_a_changed_version_is_never_joined_to_the_old_one(server, tmp_path: Path) -> None:
    for script in (["drop", "other"], ["drop", "other ignoring", "other"]):
        server.script = script
        with pytest.raises(InputError, match=f"sha256 is {hashlib.sha256(OTHER).hexdigest()}"):
            fetch(Pin("url", server.url, "", SHA256), tmp_path / "archive")
        assert not (tmp_path / "archive").exists()


def test_a_job_that_died_is_taken_up_by_the_next(server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(url, part, **rest):
        complaint = attempt(url, part, **rest)
        raise KeyboardInterrupt(complaint)

    attempt = download.attempt
    server.script = ["drop"]
    monkeypatch.setattr(download, "attempt", killed)
    with pytest.raises(KeyboardInterrupt):
        fetch(Pin("url", server.url, "", SHA256), tmp_path / "archive")
    monkeypatch.setattr(download, "attempt", attempt)
    assert fetched(server, tmp_path, []) == [(f"bytes={len(BODY) // 2}-", '"1"')]


def test_a_length_that_is_never_reached_is_an_error_and_what_came_is_kept(server, tmp_path: Path) -> None:
    server.script = ["too long"] * 9
    with pytest.raises(InputError, match="truncated, 1,024,000 of 1,024,050 bytes"):
        fetch(Pin("url", server.url, "", SHA256), tmp_path / "archive")
    assert len(server.seen) <= download.ATTEMPTS + 1
    assert max(path.stat().st_size for path in resume.cache().iterdir() if path.is_file()) == len(BODY)


def test_retry_after_is_honoured_in_seconds_and_as_a_date(server, tmp_path: Path, pauses: list[float]) -> None:
    fetched(server, tmp_path, ["busy 7", "busy " + formatdate(download.time.time() + 60, usegmt=True)])
    assert pauses[0] == 7
    assert 55 < pauses[1] <= 60
    server.script = ["busy 9000"]
    with pytest.raises(InputError, match="asks to wait 9,000 s"):
        fetch(Pin("url", server.url, "", SHA256), tmp_path / "archive")


def test_a_second_job_has_a_file_of_its_own(tmp_path: Path) -> None:
    with resume.partial("http://a/b") as first, contextlib.ExitStack() as stack:
        first.begin('"1"')
        first.file.write(b"first")
        second = stack.enter_context(resume.partial("http://a/b"))
        assert (second.size(), second.validator) == (0, "")
        second.begin('"2"')
        assert first.size() == 5


def test_connections_to_one_host_are_counted_over_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    class WaitingError(Exception):
        pass

    def waits(seconds: float) -> None:
        raise WaitingError

    monkeypatch.setattr(resume.time, "sleep", waits)
    with resume.slot("a", 2), resume.slot("a", 2):
        with resume.slot("b", 2):
            pass
        with pytest.raises(WaitingError), resume.slot("a", 2):
            pass
    with resume.slot("a", 2):
        pass


def test_an_address_as_browsers_show_it(server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    answer = Handler.do_GET
    monkeypatch.setattr(Handler, "do_GET", lambda self: (asked.append(self.path), answer(self)))
    place = server.url.removesuffix("a.tar")
    for name in ("Bücher und mehr.tar?q=ä b%20c&x=1#part", "a%C3%A9.tar"):
        fetch(Pin("url", place + name, "", SHA256), tmp_path / "archive")
    assert asked == ["/B%C3%BCcher%20und%20mehr.tar?q=%C3%A4%20b%20c&x=1", "/a%C3%A9.tar"]
    (tmp_path / "é ö.tar").write_bytes(BODY)
    fetch(Pin("url", f"file://{tmp_path}/é ö.tar", "", SHA256), tmp_path / "archive")
    assert (tmp_path / "archive").read_bytes() == BODY
    with pytest.raises(InputError, match="its host is no name"):
        fetch(Pin("url", f"http://{'é' * 70}.org/x", "", SHA256), tmp_path / "archive")
