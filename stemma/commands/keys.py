"""Write the public keys, so that others can check what was signed here: records.pem (ed25519), models.pem (ECDSA)."""

import argparse
from pathlib import Path

from stemma.digest import write_atomically
from stemma.envelope import Keyring, public_pem
from stemma.settings import Settings
from stemma.signature import signer


def options(parser: argparse.ArgumentParser) -> None:
    """Where to."""
    parser.add_argument("directory", type=Path, help="it gets records.pem and models.pem")


def handle(parsed: argparse.Namespace) -> None:
    """Keys that do not exist yet are made."""
    settings = Settings.here()
    write_atomically(parsed.directory / "records.pem", public_pem(Keyring(Path(settings.key)).signer.public_key()))
    write_atomically(parsed.directory / "models.pem", public_pem(signer(settings).public_key()))
