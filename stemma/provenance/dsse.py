"""Signs and verifies records: DSSE envelopes with ed25519 (https://github.com/secure-systems-lab/dsse, v1.0.2).

The envelope is one JSON object: the payload in base64, its type, and signatures over the pre-authentication encoding of
both. Keys are PEM files. A key's id is the SHA-256 of its public key in DER. What a record holds is defined in
stemma/provenance/slsa.py.
"""

import base64
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from stemma.base import digest
from stemma.base.errors import StemmaError
from stemma.base.files import beside
from stemma.base.untrusted_files import Unusable, read_plain

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

PAYLOAD_TYPE = "application/vnd.in-toto+json"
PEM_BYTES = 1 << 16  # the largest file of a key: one with a few thousand characters of comments
ENVELOPE = re.compile(
    rb'\{"payload":"([A-Za-z0-9+/=]*)","payloadType":"%s",'
    rb'"signatures":\[\{"keyid":"([0-9a-f]{64})","sig":"([A-Za-z0-9+/=]*)"\}\]\}' % re.escape(PAYLOAD_TYPE.encode())
)


@dataclass(frozen=True)
class Keyring:
    """One's own private key, and the files of the public keys that are trusted beside it."""

    private: Path
    trusted: tuple[Path, ...] = ()

    @cached_property
    def signer(self) -> "Ed25519PrivateKey":
        """The private key, made on first use, readable by its owner alone."""
        path = self.private.expanduser()
        if not path.exists():
            make_key(path)
        return load_private(path)

    @cached_property
    def public(self) -> dict[str, "Ed25519PublicKey"]:
        """Key id -> public key, of every key whose signatures are trusted, one's own included."""
        own = self.signer.public_key()
        found = {key_id(own): own}
        for path in self.trusted:
            key = load_public(path.expanduser())
            found[key_id(key)] = key
        return found


def seal(payload: bytes, keyring: Keyring) -> bytes:
    """Sign a payload; return the envelope as one line of JSON. ed25519 is deterministic: same payload, same
    envelope."""
    return spelled(payload, key_id(keyring.signer.public_key()), keyring.signer.sign(encoded(payload)))


def spelled(payload: bytes, signer: str, signature: bytes) -> bytes:
    """Serialise an envelope as canonical JSON; `signer`: the key's id."""
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": signer, "sig": base64.b64encode(signature).decode()}],
    }
    return digest.canonical(envelope)


def parts_of(envelope: bytes) -> tuple[bytes, str, bytes] | None:
    """Split an envelope written by `spelled` into (payload, key id, signature); None for any other text.

    Only one spelling and one signature are accepted: base64 has spare bits, JSON has spare spaces, and whoever could
    add a signature would give a record another digest. So no stranger's JSON is parsed before a signature was found
    good."""
    found = ENVELOPE.fullmatch(envelope)
    if not found:
        return None
    signer = found[2].decode()
    try:
        payload, signature = base64.b64decode(found[1]), base64.b64decode(found[3])
    except ValueError:
        return None
    return (payload, signer, signature) if envelope == spelled(payload, signer, signature) else None


def opened(envelope: bytes) -> dict | None:
    """Return the payload as a JSON object without checking its signature; None where it or the envelope is
    malformed."""
    parts = parts_of(envelope)
    return statement_in(parts[0]) if parts else None


def statement_in(payload: bytes) -> dict | None:
    """Parse a payload that is a JSON object in canonical form; None for any other text."""
    try:
        value = digest.from_json(payload)
    except ValueError:
        return None
    return value if isinstance(value, dict) and digest.canonical(value) == payload else None


def fault(envelope: bytes, keyring: Keyring) -> str | None:
    """Return why an envelope must not be trusted, in a few words; None if a trusted key has signed it."""
    try:
        signed(envelope, keyring)
    except Unusable as why:
        return str(why)
    return None


def signed(envelope: bytes, keyring: Keyring) -> dict:
    """Return the payload if a trusted key has signed it. Raises Unusable, which says what is wrong."""
    parts = parts_of(envelope)
    if parts is None:
        raise Unusable("is not a whole DSSE envelope as it was written")
    payload, signer, signature = parts
    key = keyring.public.get(signer)
    if key is None:
        raise Unusable(
            f"is signed by {signer[:12]}, whom this run does not trust; add that key to signing.trusted if you do"
        )
    if not fits(key, signature, payload):
        raise Unusable("has a signature that does not fit: it, or what it signs, was changed")
    value = statement_in(payload)
    if value is None:
        raise Unusable("does not hold an in-toto statement as it was written")
    return value


def signer_of(envelope: bytes) -> str | None:
    """Return the id of the key that an envelope names as its signer, unchecked; None where it is malformed."""
    parts = parts_of(envelope)
    return parts[1] if parts else None


def fits(key: "Ed25519PublicKey", signature: bytes, payload: bytes) -> bool:
    """Is this the key's signature of this payload?"""
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, encoded(payload))
    except InvalidSignature:
        return False
    return True


def encoded(payload: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding of a payload: the bytes that are signed."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def key_id(key: "Ed25519PublicKey") -> str:
    """Return the hex SHA-256 of the public key's SubjectPublicKeyInfo in DER."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return digest.of_bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def public_pem(key: "PublicKeyTypes") -> bytes:
    """Return the public key as PEM, to publish."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def make_key(path: Path) -> None:
    """Write a new ed25519 key; an existing one stays."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    write_key(path, Ed25519PrivateKey.generate())


def write_key(path: Path, key: "PrivateKeyTypes") -> None:
    """Write a new private key (PKCS #8 PEM, mode 0600). If two processes race, the first one's key stays."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = beside(path)
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # unlike rename it never replaces a key that is in use
        except FileExistsError:
            return
    finally:
        temporary.unlink(missing_ok=True)


def pem_at(path: Path) -> bytes:
    """Read a file of a key. Raises OSError or ValueError for anything but a file of a key's size, before it is read."""
    try:
        data = read_plain(os.path.realpath(path, strict=True), PEM_BYTES)
    except Unusable as why:
        raise ValueError(f"it {why}") from None
    if data is None:
        raise FileNotFoundError("it is gone")
    return data


def load_private(path: Path) -> "Ed25519PrivateKey":
    """Read a private key. Raises StemmaError, which names the file."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem_at(path), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise StemmaError(
            f"signing.key: {path} cannot be read as a private key ({error}); move it away or mend it"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise StemmaError(f"signing.key: {path} is not an ed25519 key; make one, or name a path where one can be made")
    return key


def load_public(path: Path) -> "Ed25519PublicKey":
    """Read a public key. Raises StemmaError, which names the file."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem_at(path))
    except (OSError, ValueError) as error:
        raise StemmaError(
            f"signing.trusted: {path} cannot be read as a public key ({error}); correct the path"
        ) from None
    if not isinstance(key, Ed25519PublicKey):
        raise StemmaError(f"signing.trusted: {path} is not an ed25519 public key; take it out or replace it")
    return key
