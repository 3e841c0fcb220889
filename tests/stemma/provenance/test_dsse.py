"""DSSE envelopes: an independent verifier accepts them, no changed byte goes unnoticed, keys are made once."""

import base64
import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemma.base.errors import StemmaError
from stemma.provenance.dsse import Keyring, encoded, fault, key_id, opened, public_pem, seal
from tests.stemma.strays import STRAYS, file, hard_link, plant_outside

PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1","subject":[]}'


@pytest.fixture(scope="module")
def keyring(tmp_path_factory) -> Keyring:
    return Keyring(tmp_path_factory.mktemp("keys") / "key.pem")


def test_sealed_is_sound_and_deterministic(keyring):
    envelope = seal(PAYLOAD, keyring)
    assert fault(envelope, keyring) is None
    assert opened(envelope) == json.loads(PAYLOAD)
    assert seal(PAYLOAD, keyring) == envelope


def test_securesystemslib_accepts_the_signature(keyring):
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import SSlibKey

    envelope = Envelope.from_dict(json.loads(seal(PAYLOAD, keyring)))
    public = keyring.signer.public_key()
    key = SSlibKey(key_id(public), "ed25519", "ed25519", {"public": public.public_bytes_raw().hex()})
    assert envelope.pae() == encoded(PAYLOAD)
    assert envelope.verify([key], 1)


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_any_flipped_bit_is_noticed(keyring, place: int, bit: int):
    envelope = bytearray(seal(PAYLOAD, keyring))
    envelope[place % len(envelope)] ^= 1 << bit
    assert fault(bytes(envelope), keyring) is not None


def test_stranger_is_not_trusted_until_named(keyring, tmp_path):
    stranger = Keyring(tmp_path / "other.pem")
    envelope = seal(PAYLOAD, stranger)
    assert "signing.trusted" in fault(envelope, keyring)
    public = tmp_path / "other.pub.pem"
    public.write_bytes(public_pem(stranger.signer.public_key()))
    assert fault(envelope, Keyring(keyring.private, (public,))) is None


def test_signature_of_another_payload_does_not_fit(keyring):
    forged = json.loads(seal(PAYLOAD, keyring))
    forged["payload"] = base64.b64encode(PAYLOAD.replace(b"[]", b"{}")).decode()
    text = json.dumps(forged, sort_keys=True, separators=(",", ":")).encode()
    assert "does not fit" in fault(text, keyring)


def test_key_is_made_once_and_kept_private(tmp_path):
    path = tmp_path / "deep/key.pem"
    first = Keyring(path).signer.private_bytes_raw()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Keyring(path).signer.private_bytes_raw() == first


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_damaged_key_is_named_and_left_alone(tmp_path: Path, content: bytes):
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(StemmaError, match=r"signing\.key: .*key\.pem"):
        _ = Keyring(path).signer
    assert path.read_bytes() == content


@pytest.mark.parametrize("stray", [stray for stray in STRAYS if stray not in (file, hard_link)])
def test_what_is_no_file_is_not_read_for_a_key(tmp_path: Path, stray):
    """A device has no end, and a pipe no beginning."""
    stray(tmp_path / "key.pem", plant_outside(tmp_path / "outside"))
    with pytest.raises(StemmaError, match=r"signing\.key: .*key\.pem cannot be read as a private key"):
        _ = Keyring(tmp_path / "key.pem").signer
    with pytest.raises(StemmaError, match=r"signing\.trusted: .*key\.pem cannot be read as a public key"):
        _ = Keyring(tmp_path / "own.pem", (tmp_path / "key.pem",)).public
