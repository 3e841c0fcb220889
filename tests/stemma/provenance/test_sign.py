"""model.sig: model-signing's own verifier accepts it, no flipped bit passes, and it never outlives what it signs."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest

from stemma.base.errors import StemmaError
from stemma.base.settings import Settings
from stemma.provenance import model_signing
from tests.stemma.conftest import Toy
from tests.stemma.provenance.test_verify import the_fault, verify, write

RULE = """
rule sign:
    input:
        manifest="results/{model}/manifest.json",
    output:
        signature="results/{model}/model.sig",
    shell:
        "python -m stemma sign {input.manifest}"

attach("""


def stemma(toy: Toy, *arguments: str) -> subprocess.CompletedProcess:
    """The command line in the toy's directory."""
    command = [sys.executable, "-m", "stemma", *arguments]
    return subprocess.run(command, cwd=toy.path, capture_output=True, text=True, env=toy.environment, check=False)


@pytest.fixture
def signed(built: Toy) -> Toy:
    """The toy's directory artifact, signed, and the public keys published."""
    done = stemma(built, "sign", "results/parts/manifest.json")
    assert done.returncode == 0, done.stderr
    assert stemma(built, "keys", "results/report").returncode == 0
    return built


def oms_verify(toy: Toy, key: Path | None = None) -> None:
    """OpenSSF Model Signing's verifier; raises where it refuses."""
    from model_signing import verifying

    config = verifying.Config().use_elliptic_key_verifier(public_key=key or toy.path / "results/report/models.pem")
    config.verify(toy.path / "results/parts", toy.path / "results/parts/model.sig")


def test_the_packages_own_verifier_accepts_it(signed: Toy):
    oms_verify(signed)
    status, found = verify(signed)
    assert (status, found["faults"]) == (0, [])


def test_the_packages_own_command_line_accepts_it(signed: Toy):
    options = ["--signature", "results/parts/model.sig", "--public_key", "results/report/models.pem"]
    command = [sys.executable, "-m", "model_signing", "verify", "key", "results/parts", *options]
    done = subprocess.run(command, cwd=signed.path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_flipped_bit_is_refused(signed: Toy):
    weights = signed.path / "results/parts/a.txt"
    data = bytearray(weights.read_bytes())
    data[3] ^= 1
    write(weights, bytes(data))
    with pytest.raises(ValueError, match=r"Hash mismatch for 'a\.txt'"):
        oms_verify(signed)


def test_signature_tells_no_place(signed: Toy):
    envelope = json.loads((signed.path / "results/parts/model.sig").read_bytes())["dsseEnvelope"]
    assert str(signed.path) not in base64.b64decode(envelope["payload"]).decode()


def test_edited_signature_is_named(signed: Toy):
    file = signed.path / "results/parts/model.sig"
    sound = file.read_text()
    bundle = json.loads(sound)
    text = bundle["dsseEnvelope"]["signatures"][0]["sig"]
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = text[:20] + ("A" if text[20] != "A" else "B") + text[21:]
    file.write_text(json.dumps(bundle))
    assert "results/parts/model.sig does not fit" in the_fault(signed)
    file.write_text(sound[:50])
    assert "results/parts/model.sig is not a whole signature" in the_fault(signed)


def test_signature_of_another_key_and_of_other_files(signed: Toy, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "a.txt").write_text("other")
    target = signed.path / "results/parts/model.sig"
    model_signing.sign(other, Settings(key=str(signed.path / "key.pem")))
    write(target, (other / "model.sig").read_bytes())
    assert "signs other files" in the_fault(signed)
    model_signing.sign(signed.path / "results/parts", Settings(key=str(other / "key.pem")))
    assert "from another key" in the_fault(signed)


def test_only_what_stands_as_recorded_is_signed(built: Toy):
    write(built.path / "results/parts/a.txt", b"forged")
    done = stemma(built, "sign", "results/parts/manifest.json")
    assert done.returncode == 2
    assert "results/parts/a.txt was changed" in done.stderr
    assert not (built.path / "results/parts/model.sig").exists()


def test_it_is_renewed_with_the_model(built: Toy):
    built.replace("Snakefile", "\nattach(", RULE)
    target = built.path / "results/parts/model.sig"
    built.build("results/parts/model.sig", "results/final.txt")
    assert built.build("results/parts/model.sig", "results/final.txt") == []  # a signature is no stray file
    assert stemma(built, "keys", "results/report").returncode == 0
    oms_verify(built)
    before = target.read_bytes()
    built.replace("llm/deep/low.py", "upper", "title")
    built.build("results/parts/model.sig", "results/final.txt")
    assert target.read_bytes() != before
    oms_verify(built)
    (built.path / "results/parts/manifest.json").unlink()
    built.build("results/parts/manifest.json", "results/parts/model.sig")
    oms_verify(built)
    built.replace("llm/deep/low.py", "title", "lower")
    built.build("results/parts/manifest.json")
    assert not target.exists()  # it goes with what it signed


def test_damaged_key_is_named(tmp_path: Path):
    (tmp_path / "key.ec.pem").write_text("no key")
    with pytest.raises(StemmaError, match=r"key\.ec\.pem cannot be read"):
        model_signing.signer(Settings(key=str(tmp_path / "key.pem")))
