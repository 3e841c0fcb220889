"""What each script's closure holds, pinned: editing DPO cannot make pretraining stale unless this list is changed.

`python -m tests.closures` writes the list anew; look at the difference before you commit it.
"""

import json
from pathlib import Path

from stemma.closure import Closure, closure_of, reader_of, third_party
from stemma.distributions import providers_of

ROOT = Path(__file__).resolve().parents[1]
PINNED = ROOT / "tests/closures.json"


def closures() -> dict[str, dict]:
    """Script -> modules and data files of its closure, the distributions that it imports, may it use the network. What
    those require depends on the machine: torch for GPUs requires more than torch without."""
    found = {}
    for file in sorted((ROOT / "scripts").rglob("*.py")):
        script = file.relative_to(ROOT)
        closure = closure_of(script, ROOT)
        found[script.as_posix()] = {
            "modules": [name for name in closure.modules if not name.endswith("__init__.py")],
            "data_files": list(closure.data_files),
            "distributions": imported(closure),
            "network": closure.network,
        }
    return found


def imported(closure: Closure) -> list[str]:
    """The distributions that a closure's modules import by name."""
    names = {name for path in closure.modules for name in third_party(reader_of(ROOT).module(Path(path)), ROOT)}
    return sorted({distribution for name in names for distribution in providers_of(name)})


if __name__ == "__main__":
    PINNED.write_text(json.dumps(closures(), indent=1) + "\n")
