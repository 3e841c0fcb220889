"""Runs one rank as a Slurm task: `python -m llm.runtime.rank DIRECTORY`, which llm/runtime/nodes.py has srun start.

In the directory it finds its orders and leaves its outcome, both pickled. They are files that only the user can write,
since whoever can reach the store's port must not be able to choose what is run.
"""

import os
import pickle
import sys
from pathlib import Path

from llm.runtime.group import Outcome, Place, outcome_of

ORDERS = "orders"
PLACE = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")


def main(directory: Path) -> None:
    place = Place(*(int(os.environ[name]) for name in PLACE))
    outcome = outcome_of(place, pickle.loads((directory / ORDERS).read_bytes()))
    hidden = directory / f".outcome-{place.rank}"
    hidden.write_bytes(pickle.dumps(outcome))
    hidden.rename(outcome_path(directory, place.rank))
    sys.exit(0 if outcome.failure is None else 1)


def outcome_path(directory: Path, rank: int) -> Path:
    return directory / f"outcome-{rank}"


def read_outcome(directory: Path, rank: int) -> Outcome | None:
    """Return what a rank left; None if it ended without an outcome."""
    try:
        return pickle.loads(outcome_path(directory, rank).read_bytes())
    except FileNotFoundError:
        return None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
