"""Downloads one URL (http, https, file) into a file; every failure is one clear line.

The standard library's urllib serves: requests and tenacity would replace about 30 of these 200 lines (one call and one
loop), while resuming, versions, slots for connections, one line an error and file: URLs would stay; an import takes
0.11 CPU seconds more, and five more distributions would be in the key of each fetch. The caller checks the digest.
"""

import base64
import email.message
import email.utils
import http.client
import netrc
import os
import re
import shutil
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import BinaryIO

from llm.collect.resume import Partial, partial, slot
from llm.errors import InputError
from llm.progress import progress

NETWORK = True  # what comes is pinned by its SHA-256
TIMEOUT_S = 60
ATTEMPTS = 4  # without a byte of progress
CONNECTIONS = 2  # to one host at a time
LONGEST_PAUSE_S = 300
PARTIAL_CONTENT, RANGE_REFUSED = 206, 416
USER_AGENT = "stemma-fetch (resumes; two connections at most)"
CHUNK = 1 << 18
KEPT = "%/:?#[]@!$&'()*+,;=-._~"  # of a URL, as they are (RFC 3986)
Answer = http.client.HTTPResponse | urllib.error.HTTPError  # an error is one too: it has a status and a body


def fetch_url(url: str, archive: Path) -> str:
    """Download a http, https or file URL; return it as it may be recorded."""
    if urllib.parse.urlsplit(url).scheme not in ("http", "https", "file"):
        raise InputError(f"url:{redact(url)}: only http://, https:// and file:// URLs can be fetched")
    download(url, archive, context=None)
    return redact(url)


def download(url: str, archive: Path, *, context: ssl.SSLContext | None) -> None:
    """Stream `url` into `archive`, going on where an earlier attempt ended, if the server still has that version. An
    answer that stays short is an InputError; what came of it is kept for the next job."""
    label, host = Path(urllib.parse.urlsplit(url).path).name, urllib.parse.urlsplit(redact(url)).netloc
    with slot(host, CONNECTIONS), partial(redact(url)) as part:
        tries, best = 0, part.size()
        while complaint := attempt(url, part, label=label, context=context):
            tries = tries + 1 if part.size() <= best else 1
            if tries >= ATTEMPTS:
                raise InputError(f"{redact(url)}: {complaint}; try again, it goes on from there")
            best = max(best, part.size())
            progress(f"{label}  {complaint}; trying again")
            time.sleep(2 ** (tries - 1))
        part.file.seek(0)
        with archive.open("wb") as file:
            shutil.copyfileobj(part.file, file, CHUNK)


def attempt(url: str, part: Partial, *, label: str, context: ssl.SSLContext | None) -> str:
    """Ask for what is missing and append it. Returns what went wrong; '' if the file is whole."""
    have = part.size() if part.validator else 0
    with open_url(url, context=context, begin=have, validator=part.validator) as answer:
        if answer.status == RANGE_REFUSED:  # nothing behind what we have; its digest will tell
            total = re.fullmatch(r"bytes \*/(\d+)", answer.headers.get("Content-Range", ""))
            if total and int(total[1]) == have:
                return ""
            part.begin("")
            return "the file on the server is another one now"
        version = validator_of(answer.headers)
        resumed = answer.status == PARTIAL_CONTENT and starts_at(answer.headers) == have and version == part.validator
        if answer.status == PARTIAL_CONTENT and not resumed:
            part.begin("")
            return "the server resumed another file"
        if not resumed:
            part.begin(version)
        begin = part.size()
        left = answer.headers.get("Content-Length")
        expected = begin + int(left) if left and left.isdigit() else None
        broken = copy(answer, part.file, label=label, copied=begin, expected=expected)
    if broken or (expected is not None and part.size() != expected):
        of = f" of {expected:,}" if expected is not None else ""
        return f"truncated, {part.size():,}{of} bytes arrived{f' ({broken})' if broken else ''}"
    return ""


def validator_of(headers: email.message.Message) -> str:
    """Return what names a version for If-Range: a strong ETag, else the date of the last change, else ''."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


def starts_at(headers: email.message.Message) -> int:
    """Return the first byte of a partial answer; -1 if it does not say."""
    found = re.match(r"bytes (\d+)-", headers.get("Content-Range", ""))
    return int(found[1]) if found else -1


def copy(answer: Answer, file: BinaryIO, *, label: str, copied: int, expected: int | None) -> str:
    """Append the answer to `file`. Returns how the connection broke, '' if it did not."""
    shown = time.monotonic()
    of = f" of {expected / 1e6:.1f}" if expected else ""
    try:
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            copied += len(chunk)
            if time.monotonic() - shown > 2:
                shown = time.monotonic()
                progress(f"{label}  {copied / 1e6:.1f}{of} MB")
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        return str(error) or type(error).__name__
    finally:
        file.flush()
    return ""


def open_url(
    url: str, *, context: ssl.SSLContext | None, accept: str = "*/*", begin: int = 0, validator: str = ""
) -> Answer:
    """Open `url` (from byte `begin` on, if it is still the version `validator`). It tries again when the server is busy
    or does not answer in time, after the time that it asks for. Raises InputError, in one line."""
    bare, authorization = split_credentials(url)
    authorization = authorization or kept_credentials(bare)
    request = urllib.request.Request(quoted(bare), headers={"Accept": accept, "User-Agent": USER_AGENT})
    for name, value in authorization.items():
        request.add_unredirected_header(name, value)  # another host that we are sent to must not see it
    if begin:
        request.add_header("Range", f"bytes={begin}-")
        request.add_header("If-Range", validator)
    context = context if bare.startswith("https:") else None
    reason, pause = "", 0.0
    for number in range(ATTEMPTS):
        if number:
            time.sleep(max(pause, 2 ** (number - 1)))
        pause = 0.0
        try:
            return urllib.request.urlopen(request, timeout=TIMEOUT_S, context=context)
        except urllib.error.HTTPError as error:
            if begin and error.code == RANGE_REFUSED:
                return error
            if error.code < 500 and error.code != 429:
                raise InputError(
                    f"{redact(url)}: the server answers {error.code} {error.reason}; check the address"
                ) from error
            reason, pause = f"{error.code} {error.reason}", retry_after(error.headers)
            if pause > LONGEST_PAUSE_S:
                raise InputError(f"{redact(url)}: the server asks to wait {pause:,.0f} s; run again then") from error
        except urllib.error.URLError as error:
            reason = str(error.reason)
            if isinstance(error.reason, FileNotFoundError | IsADirectoryError | PermissionError):
                raise InputError(f"{redact(url)}: {error.reason.strerror}; check the path") from error
            if bare.startswith("file:") or isinstance(error.reason, ConnectionRefusedError):
                break
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
    raise InputError(f"{redact(url)}: cannot be reached ({reason}); check the network (or its proxy) and run again")


def quoted(url: str) -> str:
    """Return a URL as servers take it, as browsers do with what stands in their address bar: blanks and letters beyond
    ASCII as %20 and the like, the host's by IDNA. Raises InputError for a host that cannot be written so."""
    parts = urllib.parse.urlsplit(url)
    try:
        host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
    except UnicodeError as error:
        raise InputError(f"{redact(url)}: its host is no name ({error}); correct it") from error
    path, query = (urllib.parse.quote(part, safe=KEPT) for part in (parts.path, parts.query))
    return parts._replace(netloc=host, path=path, query=query, fragment="").geturl()


def retry_after(headers: email.message.Message) -> float:
    """Return the seconds that a busy server asks to wait (a number, or a date); 0 if it does not say."""
    value = headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0


def split_credentials(url: str) -> tuple[str, dict[str, str]]:
    """Split `https://user:secret@host/x` into the URL without them and a basic Authorization header."""
    parts = urllib.parse.urlsplit(url)
    if not parts.username:
        return url, {}
    header = basic(urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or ""))
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), header


def kept_credentials(url: str) -> dict[str, str]:
    """Return a basic Authorization header by what ~/.netrc (or the file that NETRC names) has for this very host. Of a
    file that cannot be read the InputError tells the line alone: its words may be the secret."""
    parts, file = urllib.parse.urlsplit(url), Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    if parts.scheme == "file" or not file.is_file():
        return {}
    try:
        found = netrc.netrc(file).hosts.get(parts.hostname or "")
    except netrc.NetrcParseError as error:
        raise InputError(f"{file}: line {error.lineno} is not in netrc's format; correct it") from None
    return basic(found[0], found[2]) if found else {}


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def redact(url: str) -> str:
    """Return the URL as it may be shown and recorded: without credentials."""
    return split_credentials(url)[0]
