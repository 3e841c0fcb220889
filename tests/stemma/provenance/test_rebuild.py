"""`rebuild`: equal where scripts are deterministic; where one is not, it is named with the byte that differs first."""

import json
import re
import shutil
import struct
import subprocess
import sys

import gguf
import polars
import pytest
from safetensors.numpy import save_file

from stemma.base import digest
from stemma.provenance import difference
from stemma.provenance.difference import explain, first_difference
from stemma.provenance.trust import shaped
from tests.stemma.conftest import Toy

RANDOM = "    joined.write_text('x' * 40 + os.urandom(16).hex())\n"
FETCH = """
from pathlib import Path

from llm.command import command


def main(archive: Path, *, sha256: str) -> dict:
    archive.write_text("pinned")
    return {"from": "the script"}


if __name__ == "__main__":
    command(main)
"""
RULE = """
rule fetch:
    output:
        archive="results/archive",
    params:
        sha256="SHA256",
    log:
        "results/logs/fetch.log",
    shell:
        "python -m stemma run scripts/s/{rule}.py {params.flags}"
"""


def ask(toy: Toy, *arguments: str) -> subprocess.CompletedProcess:
    """`python -m stemma ...` in the toy's directory, with a variable that must not reach the build within."""
    environment = toy.environment | {"STEMMA_PARENT": "1", "STEMMA_ROOT": str(toy.path)}
    return subprocess.run(
        [sys.executable, "-m", "stemma", *arguments],
        cwd=toy.path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def make_random(toy: Toy) -> None:
    """Let the second script write something else each time."""
    script = toy.path / "scripts/s/second.py"
    lines = script.read_text().splitlines(keepends=True)
    script.write_text("import os\n" + "".join(RANDOM if "joined.write_text" in line else line for line in lines))


def test_equal(built, tmp_path_factory):
    kept = tmp_path_factory.mktemp("kept") / "tree"
    done = ask(built, "rebuild", "results/final.txt", "--directory", str(kept))
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["equal", "results/parts"],
        ["equal", "results/joined.txt"],
        ["equal", "results/final.txt"],
        ["3", "artifacts"],
    ]
    assert (kept / "results/final.txt").read_bytes() == (built.path / "results/final.txt").read_bytes()
    assert len(list((kept / "results/.store/records").rglob("*.json"))) == 3, "each job ran, none was a hit"
    again = ask(built, "rebuild", "results/final.txt", "--directory", str(kept))
    assert again.returncode == 2
    assert "is not empty" in again.stderr


def test_only_what_the_target_needs(built):
    done = ask(built, "rebuild", "results/parts")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "1 artifacts built again, all equal"


def test_the_config_of_the_last_build_counts(toy):
    toy.build("--config", "times=3")
    done = ask(toy, "rebuild", "results/final.txt")
    assert done.returncode == 0, done.stdout + done.stderr


def test_nondeterministic_script_is_named_with_its_first_byte(toy):
    make_random(toy)
    toy.build()
    done = ask(toy, "rebuild", "results/final.txt")
    assert done.returncode == 1, done.stderr
    assert "equal      results/parts" in done.stdout
    joined = (
        "different  results/joined.txt  same code, params, inputs and numeric class: its script is not deterministic"
    )
    assert joined in done.stdout
    assert "different  results/final.txt  its input results/joined.txt differs" in done.stdout
    found = re.search(r"results/joined.txt: first difference at byte (\d+) ", done.stdout)
    assert 40 <= int(found[1]) < 48  # the first of random digits may be equal by chance
    here = (toy.path / "results/joined.txt").read_bytes()
    assert here[32:48].hex(" ") in done.stdout
    assert "2 of 3 artifacts differ, the first is results/joined.txt" in done.stdout


def test_changed_code_is_named(built):
    built.replace("llm/other.py", "'!'", "'?'")
    done = ask(built, "rebuild", "results/final.txt")
    assert done.returncode == 1, done.stderr
    assert "different  results/joined.txt  code (llm/other.py) changed" in done.stdout


def test_an_artifact_edited_here_is_found(built):
    file = built.path / "results/parts/b.txt"
    file.unlink()
    file.write_text("constanT")
    done = ask(built, "rebuild", "results/parts")
    assert done.returncode == 1, done.stderr
    assert "results/parts/b.txt was changed after it was built" in done.stdout
    assert "results/parts/b.txt: first difference at byte 7 (0x7)" in done.stdout


def test_downloads_are_fetched_again_unless_kept(toy, tmp_path_factory):
    """A job that only fetches a pinned file: its record says whether its script ran."""
    sha256 = digest.of_bytes(b"pinned")
    (toy.path / "scripts/s/fetch.py").write_text(FETCH)
    toy.replace("Snakefile", "rule first:", RULE.replace("SHA256", sha256) + "\n\nrule first:")
    toy.build("results/archive")
    froms = []
    for options in ([], ["--keep-downloads"]):
        kept = tmp_path_factory.mktemp("kept") / "tree"
        done = ask(toy, "rebuild", "results/archive", "--directory", str(kept), *options)
        assert done.returncode == 0, done.stderr
        (record,) = (kept / "results/.store/records").rglob("*.json")
        froms.append(shaped(record.read_bytes()).metrics["from"])
    assert froms == ["the script", "the store, by its sha256"]


def changed_source(toy: Toy) -> str:
    toy.replace("text.txt", "hello", "other")
    return "source text.txt was changed since results/final.txt was built"


def failing_script(toy: Toy) -> str:
    toy.replace("scripts/s/third.py", "final.write", "1 / 0; final.write")
    return "results/final.txt could not be built again"


def fixed_store(toy: Toy) -> str:
    toy.replace("Snakefile", 'key="key.pem"', f'key="key.pem", store="{toy.path}/fixed"')
    return "a store of its own choice"


def no_config(toy: Toy) -> str:
    (toy.path / "results/.records/config.json").unlink()
    return "holds the config of the last build"


@pytest.mark.parametrize("change", [changed_source, failing_script, fixed_store, no_config])
def test_what_cannot_be_compared_is_one_clear_line(built, change):
    said = change(built)
    done = ask(built, "rebuild", "results/final.txt")
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_json(tmp_path):
    one, other = tmp_path / "a.json", tmp_path / "b.json"
    one.write_text(json.dumps({"a": [1, {"b": 2.0}], "c": 1}))
    other.write_text(json.dumps({"a": [1, {"b": 2.5}], "c": 1}))
    assert first_difference(one, other).meaning == "a[1].b: 2.0 here, 2.5 rebuilt"
    other.write_text('{"a": [1, {"b"')
    assert first_difference(one, other).meaning.startswith("one of them is not whole json")


def test_parquet(tmp_path):
    frame = polars.DataFrame({"id": range(1000), "text": [str(n) for n in range(1000)]})
    one, other = tmp_path / "a.parquet", tmp_path / "b.parquet"
    frame.write_parquet(one)
    frame.with_columns(text=polars.when(polars.col("id") == 700).then(None).otherwise("text")).write_parquet(other)
    assert first_difference(one, other).meaning == "column text, row 700: '700' here, None rebuilt"
    frame.write_parquet(other, compression="uncompressed")
    assert first_difference(one, other).meaning == "every value is equal; the files' layout or metadata differ"


def test_safetensors(tmp_path):
    import numpy

    one, other = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    weights = {"first": numpy.zeros((2, 3), numpy.float32), "second": numpy.ones((4, 5), numpy.float32)}
    save_file(weights, one)
    weights["second"][2, 1] = 3
    save_file(weights, other)
    found = first_difference(one, other)
    assert found.meaning == "tensor second (F32 [4, 5]): element 11"
    assert one.read_bytes()[found.offset] != other.read_bytes()[found.offset]
    assert one.read_bytes()[: found.offset] == other.read_bytes()[: found.offset]


def test_gguf(tmp_path):
    import numpy

    for name, value in (("a", 0), ("b", 3)):
        writer = gguf.GGUFWriter(tmp_path / f"{name}.gguf", "llama")
        writer.add_tensor("first", numpy.zeros((2, 32), numpy.float32))
        second = numpy.zeros((4, 64), numpy.float32)
        second[2, 1] = value
        writer.add_tensor("second", gguf.quantize(second, gguf.GGMLQuantizationType.Q8_0), raw_dtype=8)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    found = first_difference(tmp_path / "a.gguf", tmp_path / "b.gguf").meaning
    assert found == "tensor second (Q8_0 [64, 4]): byte 136"  # of 34 for each 32 numbers, the scale first
    (tmp_path / "b.gguf").write_bytes(b"GGUF")
    assert "not whole gguf" in first_difference(tmp_path / "a.gguf", tmp_path / "b.gguf").meaning


def test_safetensors_whose_header_is_no_object(tmp_path):
    """Damaged files are a finding, also where both headers are the same."""
    one, other = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    one.write_bytes(struct.pack("<Q", 2) + b"[]" + b"here")
    other.write_bytes(struct.pack("<Q", 2) + b"[]" + b"else")
    assert "not whole safetensors" in first_difference(one, other).meaning


def test_difference_beyond_a_block_and_a_shorter_file(tmp_path):
    one, other = tmp_path / "a.bin", tmp_path / "b.bin"
    one.write_bytes(bytes(difference.BLOCK + 100))
    other.write_bytes(bytes(difference.BLOCK + 99) + b"\1")
    found = first_difference(one, other)
    assert (found.offset, found.meaning) == (difference.BLOCK + 99, None)
    assert f"{found.start:08x}" in explain(found, "a.bin")
    other.write_bytes(bytes(difference.BLOCK))
    assert first_difference(one, other).offset == difference.BLOCK
    assert first_difference(one, one) is None


@pytest.mark.skipif(shutil.which("diffoscope") is None, reason="diffoscope is not installed")
def test_diffoscope_says_more(tmp_path):
    one, other = tmp_path / "a.json", tmp_path / "b.json"
    one.write_text('{"loss": 1.5}')
    other.write_text('{"loss": 2.5}')
    said = difference.diffoscope(one, other)
    assert '-    "loss": 1.5' in said
    assert '+    "loss": 2.5' in said
    with pytest.raises(difference.StemmaError, match="diffoscope"):
        difference.diffoscope(one, tmp_path / "missing")


def test_without_diffoscope_there_is_less(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert difference.diffoscope(tmp_path / "a", tmp_path / "b") is None
