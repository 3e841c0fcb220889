"""Personal data planted in a source stands, once that is built, in its raw shards and nowhere else.

Not in logs, records, metrics, the report, its crate, nor in anything that descends from the clean shards.
"""

import subprocess
import sys
import zipfile
from pathlib import Path

import polars as pl
import pytest
from lxml import html

from tests.test_bad_input import ROOT, snakemake

pytestmark = pytest.mark.thorough

PLANTED = {
    "email": "jane.planted@mail.example.com",
    "phone": "(415) 555-2671",
    "ssn": "219-09-9876",
    "credit_card": "4111 1111 1111 1111",
    "ipv4": "193.99.144.85",
    "ipv6": "2a00:1450:4001:81b::200e",
    "iban": "DE89 3704 0044 0532 0130 00",
    "name": "Margaret Whitaker",
}
MAIL, IN_NAME = "title.planted@mail.example.com", "file.planted@mail.example.com"
PROSE = (
    "The quick brown fox number {} jumps over the lazy dog while the small river runs slowly to the wide and open sea. "
)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """Raw to clean shards, the report and its crate, of a source full of personal data."""
    directory = tmp_path_factory.mktemp("pii")
    texts = directory / "texts.zip"
    archive = zipfile.ZipFile(texts, "w")
    for number, (kind, planted) in enumerate(PLANTED.items()):
        name = IN_NAME if kind == "email" else kind
        lines = "".join(f"<p>{PROSE.format(number * 100 + i)}</p>" for i in range(12))
        text = f"<p>The patient, {planted}, was diagnosed and admitted to the clinic.</p>" if kind == "name" else ""
        text = text or f"<p>Write to {planted} today.</p>"
        page = f"<html><title>Ask {MAIL}</title><body>{text}{lines}</body></html>"
        archive.writestr(f"texts/{name}.html", page)
    archive.close()
    pii = dict.fromkeys(PLANTED, "redact") | {"ipv4": "report", "ssn": "drop"}
    overlay = {
        "corpus": ["mine"],
        "sources": {"mine": {"path": str(texts), "format": "html", "domain": "web", "license": "MIT"}},
        "process": {
            "pii": pii,
            "overrides": {"web": dict.fromkeys(lifted())},
            "duplicates": {"threshold": 1.0},
            "validation_fraction": 0.3,
        },
    }
    done = snakemake(directory, overlay, "results/clean/manifest.json", "results/clean.croissant.json")
    assert done.returncode == 0, done.stderr
    (directory / "output.txt").write_text(done.stdout + done.stderr)
    for arguments in (
        ["keys", "results/report"],
        ["crate", "results/report", str(ROOT / "Snakefile")],
        ["report", str(ROOT / "report/poster.yaml"), "results/report/index.html"],
        ["show", "results/clean/mine/manifest.json"],
    ):
        command = [sys.executable, "-m", "stemma", *arguments]
        ran = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        (directory / f"{arguments[0]}.txt").write_text(ran.stdout + ran.stderr)
    return directory


def lifted() -> list[str]:
    import yaml

    return list(yaml.safe_load((ROOT / "config.yaml").read_text())["process"]["thresholds"])


def test_what_was_planted_is_in_the_raw_shards(built: Path) -> None:
    raw = pl.read_parquet(built / "results/raw/mine/part-00000.parquet")
    everything = "\n".join(raw["text"].to_list())
    assert all(planted in everything for planted in PLANTED.values())
    assert IN_NAME in "".join(raw["url"])
    assert MAIL in "".join(raw["title"])


def test_the_clean_shards_hold_what_is_only_reported(built: Path) -> None:
    clean = pl.concat([pl.read_parquet(file) for file in (built / "results/clean/mine").glob("part-*.parquet")])
    everything = "\n".join(value for row in clean.rows() for value in row if isinstance(value, str))
    left = {kind for kind, planted in PLANTED.items() if planted in everything}
    assert left == {"ipv4"}
    assert MAIL not in everything
    assert IN_NAME not in everything
    for kind in ("email", "phone", "credit_card", "ipv6", "iban", "name"):
        assert f"<{kind}>" in everything


def test_logs_records_and_report_hold_none_of_it(built: Path) -> None:
    """Everything that is no shard: text files as they are, parquet files' strings, the page's text too."""
    store = built / "results/.store/objects"
    shards = {(file.stat().st_dev, file.stat().st_ino) for file in built.glob("results/*/mine/*.parquet")}
    seen = 0
    for file in sorted(path for path in built.rglob("*") if path.is_file()):
        if file.name == "texts.zip" or (file.stat().st_dev, file.stat().st_ino) in shards:
            continue
        data = file.read_bytes()
        if store in file.parents and data[:4] == b"PAR1":
            continue  # a shard, where the store holds copies
        text = data.decode("utf-8", "replace")
        if file.suffix == ".html":
            text += html.fromstring(data).text_content()
        for planted in (*PLANTED.values(), MAIL, IN_NAME):
            assert planted not in text, f"{planted} in {file}"
        seen += 1
    assert seen > 20
    assert "results/report/index.html" in {str(file.relative_to(built)) for file in built.rglob("*.html")}
