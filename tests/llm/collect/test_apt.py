"""Debian packages, from a repository made here: the machine's own lists stay untouched, failures are one line."""

import gzip
import hashlib
import io
import shutil
import tarfile
from pathlib import Path

import pytest

from llm.collect.fetch import Pin, fetch
from tests.llm.collect.fetching import closed_port, fails

SHA256 = "0" * 64


def deb(files: dict[str, bytes], control: str) -> bytes:
    out = b"!<arch>\n"
    for name, content in (
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", targz({"./control": control.encode()})),
        ("data.tar.gz", targz(files)),
    ):
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode() + content
        out += b"\n" * (len(content) % 2)
    return out


def targz(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=0)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Debian repository of one package, the only one that apt knows; its lists are not fetched yet."""
    if not shutil.which("apt-get"):
        pytest.skip("no apt-get on this machine")
    root = tmp_path / "repository"
    state = tmp_path / "state"
    for folder in (root, state / "lists/partial", state / "cache/archives/partial"):
        folder.mkdir(parents=True)
    control = "Package: tale\nVersion: 1.0-1\nArchitecture: all\nMaintainer: none\nDescription: a tale\n"
    data = deb({"./usr/share/tale.txt": b"Once upon a time."}, control)
    (root / "tale_1.0-1_all.deb").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    (root / "Packages").write_text(f"{control}Filename: ./tale_1.0-1_all.deb\nSize: {len(data)}\nSHA256: {digest}\n\n")
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] file:{root} ./\n")
    (state / "status").touch()
    (tmp_path / "apt.conf").write_text(
        f'Dir::Etc::SourceList "{tmp_path}/sources.list"; Dir::Etc::SourceParts "/dev/null"; '
        f'Dir::State "{state}"; Dir::State::Status "{state}/status"; Dir::Cache "{state}/cache"; '
        'APT::Sandbox::User "root";'
    )
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    return root


def test_apt_fetches_lists_into_a_private_place(tmp_path: Path, repository: Path) -> None:
    data = (repository / "tale_1.0-1_all.deb").read_bytes()
    fetch(Pin("apt", "tale=1.0-1", "", hashlib.sha256(data).hexdigest()), tmp_path / "archive")
    assert (tmp_path / "archive").read_bytes() == data
    assert [path.name for path in (tmp_path / "state/lists").iterdir()] == [
        "partial"
    ]  # the machine's own are untouched


def test_apt_failures(tmp_path: Path, repository: Path) -> None:
    fails(tmp_path, Pin("apt", "tale=2.0-1", "", SHA256), "version 2.0-1 is gone.* have 1.0-1")
    fails(tmp_path, Pin("apt", "nonesuch=1", "", SHA256), "no repository of this machine has a package nonesuch")
    fails(tmp_path, Pin("apt", "tale=1.0-1", "", SHA256), f"pinned is {SHA256}")
    fails(tmp_path, Pin("apt", "tale", "", SHA256), "write package=version")
    fails(tmp_path, Pin("apt", "-o=Evil::Option", "", SHA256), "write package=version")
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] http://127.0.0.1:{closed_port()}/ ./\n")
    fails(tmp_path, Pin("apt", "tale=1.0-1", "", SHA256), "cannot be reached")


def test_no_apt_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    fails(tmp_path, Pin("apt", "tale=1.0-1", "", SHA256), "apt-get is not on this machine")
