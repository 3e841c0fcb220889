"""Write the public keys, so that others can check what was signed here: records.pem (ed25519), models.pem (ECDSA).

    stemma keys public-keys/

They are public: whoever has them can check records and models, and sign nothing.
"""

import argparse
from pathlib import Path

from stemma.base.settings import Settings
from stemma.provenance.dsse import Keyring, public_pem
from stemma.provenance.model_signing import signer
from stemma.store.local import Store
from stemma.store.placement import write_view


def options(parser: argparse.ArgumentParser) -> None:
    """Add the directory."""
    parser.add_argument("directory", type=Path, help="it gets records.pem and models.pem")


def handle(parsed: argparse.Namespace) -> None:
    """Write the public keys; key pairs that do not exist yet are made."""
    settings = Settings.here()
    records, models = Keyring(Path(settings.key)).signer.public_key(), signer(settings).public_key()
    for name, pem in {"records.pem": public_pem(records), "models.pem": public_pem(models)}.items():
        write_view(Store.of(settings), parsed.directory / name, pem)
