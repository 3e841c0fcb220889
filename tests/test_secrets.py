"""What is secret stands, once a build is done, in no file of it: a password in an address, keys and tokens of the
environment, the private key. All bytes of the run's directory, of its store and of the shared one are looked through.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
import yaml
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from moto.server import ThreadedMotoServer

from tests.test_bad_documents import prose
from tests.test_bad_input import ROOT, error_of, snakemake

VIEWS = (
    ["keys", "results/report"],
    ["crate", "results/report", str(ROOT / "Snakefile")],
    ["report", str(ROOT / "report/poster.yaml"), "results/report/index.html"],
    ["show", "results/raw/mine/manifest.json"],
    ["why", "results/clean/manifest.json"],
    ["verify"],
)
ENVIRONMENT = {
    "AWS_SECRET_ACCESS_KEY": "planted/aws+secret0123456789",
    "HF_TOKEN": "hf_plantedtoken0123456789",
    "WANDB_API_KEY": "plantedwandbkey0123456789",
}
USER, PASSWORD = "reader", "plantedpassword0123"


@dataclass(frozen=True)
class Built:
    """A directory in which something was built, with its store, and a directory of what the bucket holds; the home
    directory of who did it."""

    directory: Path
    bucket: Path
    home: Path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict]:
    """A source: the address and digest of a file that a site gives to who knows the password."""
    directory = tmp_path_factory.mktemp("site")
    data = "".join(json.dumps({"text": prose(i)}) + "\n" for i in range(40)).encode()
    (directory / "mine.jsonl").write_bytes(data)
    expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers["Authorization"] == expected:
                super().do_GET()
            else:
                self.send_error(401)

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=directory))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/mine.jsonl"
    yield {"url": address, "sha256": hashlib.sha256(data).hexdigest()}
    server.shutdown()


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The address of a server that speaks S3."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


def build(directory: Path, site: dict, bucket: str, *profile: str) -> Built:
    """Raw text to clean shards from a site with a password, with a shared store in a bucket, and all views of it."""
    run, home = directory / "run", directory / "home"
    home.mkdir()
    run.mkdir()
    (home / ".netrc").write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    (home / ".netrc").chmod(0o600)
    config = directory / "overlay.yaml"
    decided = {"decontaminate": {"evaluations": []}, "reference": {"curated": [], "toxicity": None}}
    mine = site | {"format": "jsonl", "domain": "web", "license": "MIT"}
    overlay = {"corpus": ["mine"], "sources": {"mine": mine}, "process": decided, "shared_store": "s3://team/stemma"}
    config.write_text(yaml.safe_dump(overlay))
    given = {
        "HOME": str(home), "AWS_ENDPOINT_URL": bucket, "AWS_ACCESS_KEY_ID": "id", "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name != "NETRC"} | ENVIRONMENT | given
    client = boto3.client(
        "s3", endpoint_url=bucket, aws_access_key_id="id", aws_secret_access_key="x", region_name="us-east-1"
    )
    client.create_bucket(Bucket="team")
    command = [
        sys.executable, "-m", "snakemake", "results/clean/manifest.json", "--snakefile", str(ROOT / "Snakefile"),
        "--directory", str(run), *profile, "--configfile", str(ROOT / "presets/tiny.yaml"), str(config),
    ]  # fmt: skip
    said = []
    for words in (command, [*command, "--dry-run"], *([sys.executable, "-m", "stemma", *view] for view in VIEWS)):
        done = subprocess.run(words, cwd=run, env=environment, capture_output=True, text=True, check=False)
        said.append(done.stdout + done.stderr)
        assert done.returncode == 0, said[-1]
    (run / "said.txt").write_text("\n".join(said))
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="team"):
        for item in page["Contents"]:
            file = directory / "bucket" / item["Key"]
            file.parent.mkdir(parents=True, exist_ok=True)
            client.download_file("team", item["Key"], str(file))
            client.delete_object(Bucket="team", Key=item["Key"])
    return Built(run, directory / "bucket", home)


def spellings(secret: bytes) -> set[bytes]:
    """The secret as it is, in hex, and wherever it may begin in something in base64, as records are."""
    found = {secret, secret.hex().encode()}
    for before in range(3):
        text = base64.b64encode(b"\0" * before + secret)
        found.add(text[4 if before else 0 : -4])
    return found


def secrets(built: Built) -> dict[str, bytes]:
    key = built.home / ".config/stemma/key.pem"
    private = load_pem_private_key(key.read_bytes(), None)
    named = {name: value.encode() for name, value in (ENVIRONMENT | {"password": PASSWORD}).items()}
    return named | {"private key": private.private_bytes_raw(), "its file": key.read_bytes().splitlines()[1]}


def leaks(built: Built) -> list[str]:
    """Which secret stands in which file, be it the run's, its store's, the bucket's, or one left at home."""
    sought = {spelling: name for name, secret in secrets(built).items() for spelling in spellings(secret)}
    own = {built.home / ".netrc", built.home / ".config/stemma/key.pem"}
    found, seen = [], set()
    for file in sorted(path for top in vars(built).values() for path in top.rglob("*")):
        found += [f"{name} in the name {file}" for spelling, name in sought.items() if spelling in os.fsencode(file)]
        if file.is_symlink() or not file.is_file() or file in own:
            continue
        data = file.read_bytes()
        seen.add(file.relative_to(built.directory).parts[0] if file.is_relative_to(built.directory) else "elsewhere")
        found += [f"{name} in {file}" for spelling, name in sought.items() if spelling in data]
    assert {".snakemake", "results", "said.txt", "elsewhere"} <= seen
    return found


def test_nothing_secret_stands_anywhere(tmp_path: Path, site: dict, bucket: str) -> None:
    built = build(tmp_path, site, bucket, "--profile", str(ROOT / "profiles/default"), "--cores", "2")
    assert leaks(built) == []
    for kind in ("records", "objects"):
        assert any((built.bucket / "stemma" / kind).rglob("*"))
    (built.directory / "results/log").write_bytes(base64.b64encode(b"my " + PASSWORD.encode() + b" it is"))
    assert leaks(built) == [f"password in {built.directory / 'results/log'}"]


def test_a_password_in_the_config_ends_the_build_before_anything_is_written(tmp_path: Path, site: dict) -> None:
    url = site["url"].replace("//", f"//{USER}:{PASSWORD}@")
    mine = site | {"url": url, "format": "jsonl", "domain": "web", "license": "MIT"}
    done = snakemake(tmp_path, {"corpus": ["mine"], "sources": {"mine": mine}}, "raw")
    assert "write `machine 127.0.0.1" in error_of(done)
    assert PASSWORD not in done.stdout + done.stderr
    files = (path for path in tmp_path.rglob("*") if path.is_file() and path.name != "overlay.yaml")
    assert not [path for path in files if PASSWORD.encode() in path.read_bytes()]
