"""Draw the calibration set: sequences of training tokens, equally many from each domain."""

from pathlib import Path

import numpy as np

from llm.command import command
from llm.deploy.quantize.calibration import META, TOKENS, draw
from llm.deploy.settings.calibration import CalibrationSettings
from llm.io.json import write_json


def main(tokens: Path, calibration: Path, *, settings: CalibrationSettings) -> dict:
    """tokens: directory of token shards. calibration: empty directory to fill. Returns how many sequences each domain
    gave."""
    drawn, counts = draw(tokens, settings)
    np.save(calibration / TOKENS, drawn)
    meta = {"sequences": counts, "length": settings.length, "seed": settings.seed}
    write_json(calibration / META, meta)
    return meta | {"distinct_tokens": len(np.unique(drawn))}


if __name__ == "__main__":
    command(main)
