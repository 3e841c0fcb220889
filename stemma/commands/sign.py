"""Sign a model directory: writes model.sig, which OpenSSF Model Signing's own verifier checks.

    stemma sign results/models/dpo/manifest.json

Whoever has models.pem, which `stemma keys` writes, can check it.
"""

import argparse
from pathlib import Path

from stemma.base.settings import Settings
from stemma.provenance.model_signing import sign
from stemma.provenance.trust import Records
from stemma.store import artifact


def options(parser: argparse.ArgumentParser) -> None:
    """Add the model."""
    parser.add_argument("manifest", type=Path, help="its manifest, e.g. results/models/dpo/manifest.json")


def handle(parsed: argparse.Namespace) -> None:
    """Verify the model against a trusted record, then sign it."""
    settings = Settings.here()
    Records.of(settings).verified(parsed.manifest)
    sign(artifact.argument(parsed.manifest), settings)
