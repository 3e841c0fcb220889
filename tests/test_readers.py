"""What a run says about itself in public formats is read by their own tools: roc-validator, runcrate, mlcroissant."""

import json
import subprocess
from pathlib import Path

import polars as pl
import pytest

from tests.golden import ROOT, digests

VALIDATORS = ROOT / ".venv/validators"
CRATE = "results/report"
CROISSANT = "results/clean.croissant.json"
LOAD = """
import json, os, sys
import mlcroissant

dataset = mlcroissant.Dataset(jsonld=sys.argv[1])
records = [{k.split("/")[-1]: v.decode() if isinstance(v, bytes) else v for k, v in record.items()}
           for record in dataset.records(sys.argv[2])]
print(json.dumps({"errors": list(dataset.metadata.ctx.issues.errors), "records": records}), flush=True)
os._exit(0)  # its reader's threads do not end in good order
"""

pytestmark = pytest.mark.skipif(not (VALIDATORS / ".done").exists(), reason="they are not set up: make validators")


def tool(name: str, *arguments: str) -> subprocess.CompletedProcess:
    """One of the tools, run to its end."""
    command = [str(VALIDATORS / "bin" / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def validated(crate: Path, out: Path) -> dict:
    """roc-validator's report on every REQUIRED check of the profile and of those that it builds on."""
    options = [
        "--offline",
        "--cache-path",
        str(VALIDATORS / "contexts"),
        "--profile-identifier",
        "provenance-run-crate-0.5",
    ]
    options += ["--requirement-severity", "required", "--output-format", "json", "--output-file", str(out)]
    tool("rocrate-validator", "--no-interactive", "validate", *options, str(crate))
    return json.loads(out.read_text())


def load(description: Path, records: str) -> dict:
    """mlcroissant's errors and records, or why it refuses."""
    done = tool("python", "-c", LOAD, str(description), records)
    return json.loads(done.stdout) if done.returncode == 0 else {"refused": done.stderr}


def test_every_required_check_of_a_provenance_run_crate_passes(tiny, tmp_path):
    report = validated(tiny / CRATE, tmp_path / "report.json")
    assert (report["passed"], report["issues"]) == (True, [])


def test_a_crate_without_its_workflow_is_refused(tiny, tmp_path):
    """The validator does look: a crate that misses something fails."""
    crate = json.loads((tiny / CRATE / "ro-crate-metadata.json").read_text())
    root = next(entity for entity in crate["@graph"] if entity["@id"] == "./")
    del root["mainEntity"], root["license"]
    (tmp_path / "crate").mkdir()
    (tmp_path / "crate/ro-crate-metadata.json").write_text(json.dumps(crate))
    assert validated(tmp_path / "crate", tmp_path / "report.json")["passed"] is False


def test_runcrate_reads_every_job(tiny):
    done = tool("runcrate", "report", str(tiny / CRATE))
    assert done.returncode == 0, done.stderr
    actions = [line for line in done.stdout.splitlines() if line.startswith("action: #job/")]
    records = {json.loads(file.read_text())["action"] for file in (tiny / "results/.records").rglob("*.json")
               if "action" in json.loads(file.read_text())}  # fmt: skip
    assert len(actions) == len(records)
    assert "#tool/scripts/pretrain/pretrain.py" in done.stdout


def test_every_artifact_is_in_the_crate_by_its_digest(tiny):
    graph = json.loads((tiny / CRATE / "ro-crate-metadata.json").read_text())["@graph"]
    known = {entity["sha256"] for entity in graph if "sha256" in entity}
    assert set(digests(tiny).values()) <= known


def test_croissant_loads_the_documents(tiny):
    shards = sorted((tiny / "results/clean").glob("*/part-*.parquet"))
    found = load(tiny / CROISSANT, "documents")
    assert found["errors"] == []
    expected = pl.concat([pl.read_parquet(file) for file in shards])
    columns = ["id", "text", "license", "split"]
    assert pl.DataFrame(found["records"]).select(columns).sort("id").equals(expected.select(columns).sort("id"))


def test_croissant_refuses_a_flipped_bit(tiny, tmp_path):
    subprocess.run(["cp", "-a", tiny / "results", tmp_path], check=True)
    shard = sorted((tmp_path / "results/clean").glob("*/part-*.parquet"))[0]
    name = f"{shard.parent.name}/{shard.stem}"
    assert len(load(tmp_path / CROISSANT, name)["records"]) == pl.read_parquet(shard).height
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.unlink()
    shard.write_bytes(data)
    assert "hash" in load(tmp_path / CROISSANT, name)["refused"].lower()
