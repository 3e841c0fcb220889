"""Fetches one archive of a package from the indexes that pip is configured with.

It takes the file itself from the simple API (PEP 503, PEP 691), never through `pip download`, which runs an sdist's
setup code. It learns pip's configuration by asking pip. pypi-simple would replace 45 of these lines, those that read an
index's page; directories and pages of find-links, pip's settings and credentials would stay, and its import takes 0.26
CPU seconds (requests, beautifulsoup4, pydantic).
"""

import http.client
import json
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from llm.collect.download import download, open_url, redact
from llm.errors import InputError


@dataclass(frozen=True)
class Indexes:
    """Where pip looks: simple API roots, find-links pages or directories, and the file of certificates to trust."""

    urls: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    cert: str | None = None


def fetch_pypi(requirement: str, file: str, archive: Path, check: Callable[[], None]) -> str:
    """Find `file` of `package==version` on pip's indexes, in pip's order, and download the first that `check` accepts:
    an index may carry its own build under the same name. Returns where it came from."""
    name, separator, version = requirement.partition("==")
    if not separator or not version:
        raise InputError(f"pypi:{requirement}: write package==version")
    if not file:
        raise InputError(f"pypi:{requirement}: say which archive of it is meant: file: (an sdist or a wheel)")
    indexes = pip_indexes()
    context = ssl.create_default_context(cafile=indexes.cert) if indexes.cert else None
    project = re.sub(r"[-_.]+", "-", name).lower()
    seen: set[str] = set()
    problems: list[str] = []
    for root in [*(f"{url.rstrip('/')}/{project}/" for url in indexes.urls), *indexes.links]:
        try:
            links = page_links(root, context=context)
            seen |= {link for link in links if link.lower().replace("_", "-").startswith(project)}
            if file not in links:
                continue
            download(links[file], archive, context=context)
            check()
            return redact(links[file])
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError(f"pypi:{requirement}: {file} cannot be had: {'; '.join(problems)}")
    near = sorted(link for link in seen if version in link) or sorted(seen)[-5:]
    raise InputError(
        f"pypi:{requirement}: no index that pip knows has a file {file}"
        + (f"; it has {', '.join(near[:8])}" if near else "; check name and version")
    )


def pip_indexes() -> Indexes:
    """Return the indexes that pip is configured with, by its own precedence: environment, `download` section,
    global."""
    lines = pip("config", "list").splitlines()
    values: dict[str, str] = {}
    for section in ("global", "download", ":env:"):
        for line in lines:
            key, _, value = line.partition("=")
            if key.startswith(section + "."):
                values[key.removeprefix(section + ".")] = value.strip("'\"").replace("\\n", " ")
    extra = values.get("extra-index-url", "").split()
    links = values.get("find-links", "").split()
    main = [values["index-url"]] if "index-url" in values else [default_index()]
    if values.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        main, extra = [], []
    return Indexes(urls=main + extra, links=links, cert=values.get("cert"))


def default_index() -> str:
    """Return pip's built-in index, as its own help states it."""
    found = re.search(r"\(default\s+(\S+?)\)", pip("download", "--help"))
    if not found:
        raise InputError("pip does not say which index it uses; set index-url with `pip config set`")
    return found[1]


def pip(*arguments: str) -> str:
    """Run pip and return what it printed. Raises InputError if it fails."""
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        problem = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(
            f"`{sys.executable} -m pip {arguments[0]}` fails ({problem}); "
            "a pypi source needs pip to know which index to ask"
        )
    return done.stdout


def page_links(root: str, *, context: ssl.SSLContext | None) -> dict[str, str]:
    """Return file name -> URL for every file that a simple API page, a find-links page or a directory lists."""
    parts = urllib.parse.urlsplit(root)
    local = Path(urllib.request.url2pathname(parts.path)) if parts.scheme in ("", "file") else None
    if local is not None and local.is_dir() and not (local / "index.html").exists():
        return {path.name: path.as_uri() for path in sorted(local.iterdir()) if path.is_file()}
    if local is not None:
        local = local / "index.html" if local.is_dir() else local
        if not local.exists():
            return {}
        base, kind, body = local.resolve().as_uri(), "text/html", local.read_bytes()
    else:
        accept = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
        try:
            with open_url(root, context=context, accept=accept) as answer:
                base, kind, body = answer.url, answer.headers.get_content_type(), answer.read()
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            raise InputError(f"{redact(root)}: the page broke off ({type(error).__name__}); run again") from error
        except InputError as error:
            if isinstance(error.__cause__, urllib.error.HTTPError) and error.__cause__.code == 404:
                return {}
            raise
    if kind.endswith("json"):
        hrefs = listed_in(body, root)
    else:
        parser = Anchors()
        parser.feed(body.decode("utf-8", "replace"))
        hrefs = parser.hrefs
    urls = [url for href in hrefs if (url := absolute(base, href))]
    authority = urllib.parse.urlsplit(root).netloc
    urls = [with_credentials(url, authority) for url in urls]
    return {urllib.parse.unquote(urllib.parse.urlsplit(url).path.rpartition("/")[2]): url for url in urls}


def listed_in(body: bytes, root: str) -> list[str]:
    """Return the addresses in an index's JSON (PEP 691)."""
    try:
        return [str(entry["url"]) for entry in json.loads(body)["files"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{redact(root)}: the answer is no index's page; check the address, and any proxy") from error


def absolute(base: str, href: str) -> str:
    """Return an address of a page, without its fragment; "" for what is none."""
    try:
        return urllib.parse.urldefrag(urllib.parse.urljoin(base, href)).url
    except ValueError:
        return ""


def with_credentials(url: str, authority: str) -> str:
    """Return the URL of a file with the index's credentials if it lies on the index's own host; other hosts never see
    them."""
    parts = urllib.parse.urlsplit(url)
    _, separator, host = authority.rpartition("@")
    return parts._replace(netloc=authority).geturl() if separator and parts.netloc == host else url


class Anchors(HTMLParser):
    """Collects the href of every anchor."""

    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.hrefs += [value for name, value in attrs if name == "href" and value]
