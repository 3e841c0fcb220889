"""Signs and checks model directories in OpenSSF Model Signing's format (OMS, v1.0): `model.sig`, a Sigstore bundle.

The model-signing package writes it, so whoever has a model and the public key can check it with that package's own
verifier, without Stemma. That package signs with ECDSA only, so there is a second key beside the records' key. ECDSA is
randomised, hence `model.sig` is not an artifact and no manifest lists it. The caller decides what is signed.
"""

import base64
from pathlib import Path
from typing import TYPE_CHECKING

from stemma.base import digest
from stemma.base.errors import StemmaError
from stemma.base.files import beside
from stemma.base.settings import Settings
from stemma.provenance.dsse import encoded, pem_at, write_key
from stemma.store.artifact import SIGNATURE
from stemma.store.local import Store
from stemma.store.placement import write_view

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

SUFFIX = ".ec.pem"


def key_path(settings: Settings) -> Path:
    """Return the path of the private key for models: key.pem -> key.ec.pem."""
    return Path(settings.key).expanduser().with_suffix(SUFFIX)


def signer(settings: Settings) -> "EllipticCurvePrivateKey":
    """Return the private key for models (NIST P-256), made on first use, readable by its owner alone."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    path = key_path(settings)
    if not path.exists():
        write_key(path, ec.generate_private_key(ec.SECP256R1()))
    try:
        key = load_pem_private_key(pem_at(path), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise StemmaError(f"{path} cannot be read as a private key ({error}); move it away or mend it") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise StemmaError(f"{path} is not an elliptic-curve key; move it away, then one is made")
    return key


def sign(directory: Path, settings: Settings) -> Path:
    """Sign a directory's present files by writing `model.sig` atomically; return its path."""
    from model_signing import hashing, signing

    signer(settings)
    target = directory / SIGNATURE
    # It lies beside the directory: a job that reads that meanwhile would see a file that no manifest lists.
    temporary = beside(directory)
    rules = hashing.Config().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)
    config = signing.Config().use_elliptic_key_signer(private_key=key_path(settings)).set_hashing_config(rules)
    try:
        config.sign(directory, temporary)
        write_view(Store.of(settings), target, temporary.read_bytes())
    finally:
        temporary.unlink(missing_ok=True)
    return target


def bundle_of(file: Path) -> dict:
    """Read a signature file; empty where it is not a JSON object."""
    return digest.read_json(file) or {}


def fault(directory: Path, files: dict[str, str], settings: Settings) -> str | None:
    """Return what is wrong with a directory's signature; None if nothing. `files`: the expected name -> SHA-256."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        envelope = bundle_of(directory / SIGNATURE)["dsseEnvelope"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        signed = base64.b64decode(envelope["signatures"][0]["sig"], validate=True)
        signer(settings).public_key().verify(signed, encoded(payload), ECDSA(SHA256()))
        resources = digest.from_json(payload)["predicate"]["resources"]
        stated = {item["name"]: item["digest"] for item in resources}
    except InvalidSignature:
        return "does not fit: it, or what it signs, was changed, or it is from another key"
    except (ValueError, KeyError, TypeError, IndexError):
        return "is not a whole signature"
    return None if stated == files else "signs other files than the ones that stand beside it"
