"""Manifests that others wrote: which names are safe, and what is no manifest at all."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemma.store.manifest import Member, check_names, fault_of, members

DIGEST = "ab" * 32


def manifest(*entries: object) -> bytes:
    return json.dumps({"files": entries}).encode()


def entry(path: object = "a", size: object = 1, sha256: object = DIGEST) -> dict:
    return {"path": path, "size": size, "sha256": sha256}


def test_members():
    assert members(manifest()) == []
    names = ["a", "b/c.txt", "b/manifest.json", ".hidden", "name with spaces", "été/日本語", "..x", "a.b.."]
    assert members(manifest(*map(entry, names))) == [Member(name, 1, DIGEST) for name in names]


@pytest.mark.parametrize(
    "name",
    [
        "../../sitecustomize.py", "..", "a/../../b", "/etc/passwd", "//etc", "a//b", "a/", "./a", "a/./b", ".", "",
        "a\\0b", "a\\nb", "\\x1b[2J", "a\\x7f", "\\x9b31m", "\\u2028", "\\u202egpj.exe", "\\u200b", "\\ufeff",
        "manifest.json", "Manifest.JSON", "x" * 256, "é" * 128, "/".join("x" * 2050), None, 1, ["a"], {"a": 1}, True,
    ],
)  # fmt: skip
def test_name_that_leads_elsewhere_is_refused(name: object):
    name = name.encode().decode("unicode_escape") if isinstance(name, str) and "\\" in name else name
    with pytest.raises(ValueError, match="has .*, which|without a name"):
        members(manifest(entry(name)))


@pytest.mark.parametrize(
    "pair",
    [
        ("a", "a"), ("a", "A"), ("STRASSE", "stra\u00dfe"),
        ("\u00e9", "e\u0301"), ("\u00c5", "\u212b"), ("K", "\u212a"),
        ("a", "a/b"), ("A", "a/b"), ("a/b/c", "a/b"), ("\u00e9", "e\u0301/x"),
    ],
)  # fmt: skip
def test_names_that_some_file_system_takes_for_one_are_refused(pair: tuple[str, str]):
    with pytest.raises(ValueError, match="take for one|as a file and"):
        members(manifest(*map(entry, pair)))
    with pytest.raises(ValueError, match="take for one|as a file and"):
        members(manifest(*map(entry, reversed(pair))))


@pytest.mark.parametrize("size", [-1, 1 << 63, 10**30, 1.0, "1", None, True])
def test_size_out_of_bounds_is_refused(size: object):
    with pytest.raises(ValueError, match="no size"):
        members(manifest(entry(size=size)))


def test_one_digest_has_one_size():
    with pytest.raises(ValueError, match="two sizes"):
        members(manifest(entry("a", 1), entry("b", 2)))


@pytest.mark.parametrize(
    "data",
    [
        b"", b"null", b"[]", b"{}", b"[" * 100_000, b'{"files":{}}', b'{"files":[[]]}', b'{"files":[null]}', b"\xff",
        b'{"files":[],"files":[]}', b'{"files":[],"more":1}', manifest({"path": "a"}), manifest(entry() | {"x": 1}),
        manifest(entry(sha256="../../../etc/passwd")), manifest(entry(sha256="AB" * 32)), manifest(entry(sha256=1)),
        manifest(entry("\ud800")), b'{"files":[{"path":"a","path":"../b","size":1,"sha256":"%s"}]}' % DIGEST.encode(),
    ],
)  # fmt: skip
def test_what_is_no_manifest_is_refused(data: bytes):
    with pytest.raises(ValueError):
        members(data)


@given(st.text())
def test_a_safe_name_stays_in_its_directory(name: str):
    """Whatever is not refused joins to a place below, and prints as it is."""
    if fault_of(name) is None:
        check_names([name])
        assert not name.startswith("/")
        assert not {"", ".", ".."} & set(name.split("/"))
        assert name.isprintable()
