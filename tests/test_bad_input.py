"""Bad input, met by the real workflow: one clear line (what, where, what to do), non-zero exit, nothing lost.

Each case is an overlay of presets/tiny.yaml and a target, built by Snakemake in a directory of its own.
"""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from tests import fork_server
from tests.build import command
from tests.golden import ROOT

PROSE = "The quick brown fox jumps over the lazy dog while the small river runs slowly to the wide and open sea. "


def snakemake(directory: Path, overlay: dict, *targets: str) -> subprocess.CompletedProcess:
    """Build targets with the repository's workflow in another directory."""
    config = directory / "overlay.yaml"
    config.write_text(yaml.safe_dump(overlay))
    return fork_server.run(command(directory, str(config), "--", *targets), directory)


def error_of(done: subprocess.CompletedProcess) -> str:
    """The one error line of a build that failed."""
    assert done.returncode != 0, done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


GELU = {"model": {"activation": "gelu"}}


@pytest.mark.parametrize(
    ("overlay", "target", "message"),
    [
        (
            {"align": {"parallel": {"data": 3}}},
            "adapters",
            "align.sft.schedule.batch_size: 8 is not divisible by align.parallel.data: 3; write 9",
        ),
        ({"align": {"max_tokens": 300}}, "adapters", "align.max_tokens: 300 is more than model.context_length: 128"),
        (
            {"serve": {"prompt_tokens": [8, 120]}},
            "serve_benchmark",
            "make up to 132 tokens, model.context_length is",
        ),
        ({"serve": {"max_new_tokens": 128}}, "results/serve/answers.json", "serve.max_new_tokens: 128 leaves no room"),
        ({"serve": {"new_tokens": [9, 4]}}, "serve_benchmark", r"serve.new_tokens: \[9, 4\] is not \[least, most\]"),
        (
            {"model": {"context_length": 20_000_000}},
            "checkpoints",
            "pretrain: a step of 8 sequences of 20,000,000 tokens",
        ),
        ({"align": {"methods": ["gpro"]}}, "adapters", "align.methods: 'gpro' is no method; known are sft, reward, "),
        ({"align": {"dpo": {"data": "nowhere"}}}, "results/align/dpo/manifest.json", "nowhere"),
        (
            {"align": {"given": {"mine": {"source": "mine", "include": ["*.jsonl"]}}}},
            "adapters",
            "align.given.mine.source: mine is not defined under sources",
        ),
        ({"align": {"methods": ["dpo-natral"]}}, "adapters", "'dpo-natral' .* with -natural or -natural-random or -ch"),
        (GELU, "adapters", "align.lora.target_modules: model.activation: gelu has no gate_proj"),
        ({"plan": {"shape": {"experts": 4}}}, "checkpoints", "trains no mixtures of experts"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_what_cannot_be_is_refused_before_anything_runs(tmp_path, overlay, target, message):
    """Nothing is collected for a build whose later jobs are bound to fail."""

    done = snakemake(tmp_path, overlay, target)
    assert re.search(message, error_of(done))
    assert not (tmp_path / "results/raw").exists()


def test_a_plan_on_paper_has_no_adapters(tmp_path):
    """What alignment would refuse is no matter to a plan."""
    done = snakemake(tmp_path, GELU | {"align": {"max_tokens": 9999}}, "plan")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results/plan/overlay.html").is_file()


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ({"proces": {}}, r"proces: unknown key; did you mean process\?"),
        ({"process": {"mnihash": {}}}, r"process.mnihash: unknown key; did you mean minhash\?"),
        ({"process": {"validation_fraction": "some"}}, "process.validation_fraction: 'some' is not of type number"),
        (
            {"process": {"thresholds": {"n_wrods": {"min": 5}}}},
            "thresholds: 'n_wrods' is none .* mean n_words",
        ),
        ({"process": {"overrides": {"code": {"n_wrods": None}}}}, "overrides.code: 'n_wrods' is none .* mean n_words"),
        ({"pretrain": {"batch_size": 15, "parallel": {"data": 2}}}, "batch_size: 15 is not divisible .*; write 16"),
        (
            {"pretrain": {"steps": 10}},
            r"write pretrain: {steps: 10, checkpoint_every: 10, warmup",
        ),
        ({"quantize": {"qat": {"method": "int3", "steps": 5}}}, "quantize.qat.method: int3 is not in .*: rtn-int4"),
        (
            {"quantize": {"qat": {"method": "rtn-int4", "steps": 5}}},
            "quantize.qat.method: rtn-int4 has no symmetric grid .* name a method such as .*scales: absmax",
        ),
        ({"numeric": "fast"}, "numeric: 'fast' is not one of native, portable"),
        ({"model": {"d_model": 65}}, "model.d_model.*65.*n_heads"),
        ({"model": {"n_heads": 4, "n_kv_heads": 3}}, "n_kv_heads"),
        ({"corpus": ["nosuch"]}, "nosuch"),
        ({"seed": 2**63}, "seed: 9223372036854775808 has more than 64 bits"),
        ({"pretrain": {"learning_rate": float("inf")}}, "pretrain.learning_rate: inf is no finite number"),
        ({"sources": {1: {"path": "x"}, "b": {"path": "y"}}}, "sources: the key 1 is no text; put it in quotes"),
        ({"sources": {"a b": {"path": "x"}}}, "sources: 'a b' cannot name a source: begin with a letter or digit"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_config_mistakes(tmp_path, overlay, message):

    line = error_of(snakemake(tmp_path, overlay, "all"))
    assert re.search(message, line), line
    assert not (tmp_path / "results").exists()


def source(**keys) -> dict:
    """An overlay with one source of one's own."""
    return {"corpus": ["mine"], "sources": {"mine": {"format": "text", "domain": "books", "license": "MIT"} | keys}}


def archive_with(name: str, data: bytes = b"text") -> bytes:
    """A tar.gz with one member."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def url_source(directory: Path, name: str, data: bytes, sha256: str | None = None, **keys) -> dict:
    """A source fetched from a file:// URL."""
    (directory / name).write_bytes(data)
    return source(url=f"file://{directory / name}", sha256=sha256 or hashlib.sha256(data).hexdigest(), **keys)


def test_wrong_sha256(tmp_path):
    line = error_of(snakemake(tmp_path, url_source(tmp_path, "a.txt", b"hello", "0" * 64), "raw"))
    assert "sha256" in line
    assert hashlib.sha256(b"hello").hexdigest()[:12] in line


def test_another_model_than_the_pinned_one(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    pinned = {"url": f"file://{tmp_path}/model.gguf", "sha256": "0" * 64, "license": "MIT"}
    line = error_of(snakemake(tmp_path, {"imported": pinned}, "results/models/base/manifest.json"))
    assert "sha256" in line
    assert hashlib.sha256(b"GGUF").hexdigest()[:12] in line


def test_truncated_archive(tmp_path):
    data = archive_with("a.txt", os.urandom(5000))
    line = error_of(snakemake(tmp_path, url_source(tmp_path, "a.tar.gz", data[:-1500]), "raw"))
    assert "truncated" in line or "damaged" in line


@pytest.mark.parametrize("name", ["../escape.txt", "/absolute.txt"])
def test_member_that_escapes(tmp_path, name):
    line = error_of(snakemake(tmp_path, url_source(tmp_path, "a.tar.gz", archive_with(name, PROSE.encode())), "raw"))
    assert name in line
    assert not (tmp_path / "escape.txt").exists()
    assert not Path("/absolute.txt").exists()


def test_zip_bomb(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("a.txt", b"0" * 300_000_000)
    line = error_of(snakemake(tmp_path, url_source(tmp_path, "a.zip", buffer.getvalue()), "raw"))
    assert "decompression bomb" in line


def test_source_that_yields_nothing(tmp_path):
    line = error_of(snakemake(tmp_path, url_source(tmp_path, "a.tar.gz", archive_with("a.bin")), "raw"))
    assert "mine" in line
    assert "a.bin" in line


def test_missing_file(tmp_path):
    line = error_of(snakemake(tmp_path, source(path="no/such/folder"), "raw"))
    remedy = "put it there, or correct the path"
    assert line == f"error: no/such/folder does not exist, and collect (source=mine) reads it; {remedy}"


def test_missing_url(tmp_path):
    line = error_of(snakemake(tmp_path, source(url=f"file://{tmp_path}/none.txt", sha256="0" * 64), "raw"))
    assert "none.txt" in line


def test_no_network(tmp_path):
    """Nothing listens on port 9 of this machine: what a machine without a network says, at once."""
    line = error_of(snakemake(tmp_path, source(url="http://127.0.0.1:9/a.txt", sha256="0" * 64), "raw"))
    assert "127.0.0.1:9" in line


def test_braces_and_quotes_anywhere_in_a_config_are_text(tmp_path):
    name = "t {x} {1,2} <results> 'a' \"b\" $(id) `id` 100% größer"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "a.txt").write_text(PROSE * 30)
    overlay = source(path=f"{folder}/", license=name, domain=name, include=["**/*.{txt,md}"], exclude=["{x}"])
    done = snakemake(tmp_path, overlay | {"serve": {"prompts": ["{x}", "{{x}}", name]}}, "raw")
    assert done.returncode == 0, done.stderr
    record = subprocess.run(
        [sys.executable, "-m", "stemma", "show", "results/raw/mine"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    params = json.loads(record)["predicate"]["buildDefinition"]["externalParameters"]["params"]["settings"]
    assert (params["license"], params["domain"], params["exclude"]) == (name, name, ["{x}"])


def test_empty_and_undecodable_documents_are_counted_and_the_rest_is_kept(tmp_path):
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "good.txt").write_text(PROSE * 30)
    (texts / "empty.txt").write_text("")
    (texts / "latin.txt").write_bytes(("Être ou ne pas être, voilà la question. " * 40).encode("latin-1"))
    (texts / "nul.txt").write_bytes(b"a\0b\0")
    done = snakemake(tmp_path, source(path=str(texts)), "raw")
    assert done.returncode == 0, done.stderr
    record = subprocess.run(
        [sys.executable, "-m", "stemma", "show", "results/raw/mine/manifest.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert '"empty": 1' in record
    assert '"skipped"' in record


def test_only_empty_documents(tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").write_text("")
    assert "mine" in error_of(snakemake(tmp_path, source(path=str(tmp_path / "texts")), "raw"))


@pytest.mark.thorough
def test_vocabulary_larger_than_the_corpus_supports(tmp_path):
    texts = tmp_path / "texts"
    texts.mkdir()
    for number in range(40):
        (texts / f"{number}.txt").write_text(f"Part {number}. " + PROSE * (5 + number))
    lifted = dict.fromkeys(yaml.safe_load((ROOT / "config.yaml").read_text())["process"]["thresholds"])
    overlay = source(path=str(texts)) | {
        "tokenizer": {"vocab_size": 30000},
        "process": {
            "overrides": {"books": lifted},
            "validation_fraction": 0.1,
            "duplicates": {"threshold": 1.0},
            "decontaminate": {"evaluations": []},
        },
    }
    line = error_of(snakemake(tmp_path, overlay, "tokenizer"))
    assert "tokenizer.vocab_size" in line
    assert "30000" in line


def test_unknown_target(tmp_path):
    assert "nosuch" in error_of(snakemake(tmp_path, {}, "nosuch"))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_full_disk_loses_nothing(tmp_path):
    """On a file system that is full the build says so in one line; with room again it completes."""
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "a.txt").write_bytes(os.urandom(3_000_000).hex().encode())
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("this sandbox allows no mount")
    try:
        line = error_of(snakemake(disk, source(path=str(texts)), "raw"))
        assert "no space left" in line
        subprocess.run(["mount", "-o", "remount,size=50m", disk], check=True)
        done = snakemake(disk, source(path=str(texts)), "raw")
        assert done.returncode == 0, done.stderr
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
