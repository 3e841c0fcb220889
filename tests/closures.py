"""What each script's closure holds, pinned: editing DPO cannot make pretraining stale unless this list is changed.

`python -m tests.closures` writes the list anew; look at the difference before you commit it.
"""

import json
from pathlib import Path

from stemma.closure import closure_of

ROOT = Path(__file__).resolve().parents[1]
PINNED = ROOT / "tests/closures.json"


def closures() -> dict[str, dict]:
    """Script -> modules and data files of its closure, its distributions without versions, may it use the network."""
    found = {}
    for file in sorted((ROOT / "scripts").rglob("*.py")):
        script = file.relative_to(ROOT)
        closure = closure_of(script, ROOT)
        found[script.as_posix()] = {
            "modules": [name for name in closure.modules if not name.endswith("__init__.py")],
            "data_files": list(closure.data_files),
            "distributions": list(closure.distributions),
            "network": closure.network,
        }
    return found


if __name__ == "__main__":
    PINNED.write_text(json.dumps(closures(), indent=1) + "\n")
