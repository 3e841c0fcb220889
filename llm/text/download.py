"""Download one URL (http, https, file) into a file, with every failure as one clear line. Checks no digest."""

import base64
import http.client
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import BinaryIO

from llm.errors import InputError
from llm.progress import progress

NETWORK = True  # what comes is pinned by its SHA-256
TIMEOUT_S = 60
ATTEMPTS = 3
CHUNK = 1 << 20


def fetch_url(url: str, archive: Path) -> str:
    """Download a http, https or file URL; returns it as it may be recorded."""
    if urllib.parse.urlsplit(url).scheme not in ("http", "https", "file"):
        raise InputError(f"url:{redact(url)}: only http://, https:// and file:// URLs can be fetched")
    download(url, archive, context=None)
    return redact(url)


def download(url: str, archive: Path, *, context: ssl.SSLContext | None) -> None:
    """Stream `url` into `archive`. A short answer is an InputError even before its digest is looked at."""
    with open_url(url, context=context) as answer, archive.open("wb") as file:
        expected = answer.headers.get("Content-Length")
        copied = copy(answer, file, label=Path(urllib.parse.urlsplit(url).path).name, expected=expected)
    if expected is not None and copied != int(expected):
        raise InputError(f"{redact(url)}: truncated, {copied:,} of {int(expected):,} bytes arrived; try again")


def copy(answer: http.client.HTTPResponse, file: BinaryIO, *, label: str, expected: str | None) -> int:
    copied, shown = 0, time.monotonic()
    of = f" of {int(expected) / 1e6:.1f}" if expected else ""
    try:
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            copied += len(chunk)
            if time.monotonic() - shown > 2:
                shown = time.monotonic()
                progress(f"{label}  {copied / 1e6:.1f}{of} MB")
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise InputError(f"{label}: the connection broke after {copied:,} bytes ({error}); try again") from error
    return copied


def open_url(url: str, *, context: ssl.SSLContext | None, accept: str = "*/*") -> http.client.HTTPResponse:
    """Open `url`, trying again when the server is busy or does not answer in time. InputError in one line."""
    bare, authorization = split_credentials(url)
    request = urllib.request.Request(bare, headers={"Accept": accept, "User-Agent": "stemma-fetch"})
    for name, value in authorization.items():
        request.add_unredirected_header(name, value)  # another host that we are sent to must not see it
    context = context if bare.startswith("https:") else None
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(attempt)
        try:
            return urllib.request.urlopen(request, timeout=TIMEOUT_S, context=context)
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code != 429:
                raise InputError(
                    f"{redact(url)}: the server answers {error.code} {error.reason}; check the address"
                ) from error
            reason = f"{error.code} {error.reason}"
        except urllib.error.URLError as error:
            reason = str(error.reason)
            if isinstance(error.reason, FileNotFoundError | IsADirectoryError | PermissionError):
                raise InputError(f"{redact(url)}: {error.reason.strerror}; check the path") from error
            if bare.startswith("file:") or isinstance(error.reason, ConnectionRefusedError):
                break
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
    raise InputError(f"{redact(url)}: cannot be reached ({reason}); check the network (or its proxy) and run again")


def split_credentials(url: str) -> tuple[str, dict[str, str]]:
    """`https://user:secret@host/x` -> the URL without them, and a basic Authorization header."""
    parts = urllib.parse.urlsplit(url)
    if not parts.username:
        return url, {}
    pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
    header = {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), header


def redact(url: str) -> str:
    """The URL as it may be shown and recorded: without credentials."""
    return split_credentials(url)[0]
