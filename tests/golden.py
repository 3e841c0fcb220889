"""Golden digests of presets/tiny.yaml. Run as a module to write them: python -m tests.golden DIRECTORY-OF-A-BUILD."""

import hashlib
import json
import sys
from pathlib import Path

from stemma.code import numeric

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests/golden.json"
EXACT = ("fetched", "raw", "annotated", "duplicates", "clean", "mix", "tokenizer", "tokens", "model")


def digests(directory: Path) -> dict[str, str]:
    """Path below results/ -> sha256 of every artifact: a directory's manifest stands for what it lists."""
    pointers = directory / "results/.records"
    names = [str(file.relative_to(pointers).with_suffix("")) for file in sorted(pointers.rglob("*.json"))]
    files = {name: directory / "results" / name for name in names}
    return {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items() if file.is_file()}


def is_trained(name: str) -> bool:
    """Did floating-point hardware have a part in this artifact?"""
    parts = Path(name).parts
    trained = parts[0] not in EXACT and parts[:2] not in (("align", "instructions"), ("align", "preferences"))
    return trained and name not in ("pretrain/ngram.json", "evaluation/questions.json")


if __name__ == "__main__":
    golden = {"processor": numeric.instruction_set(), "sha256": digests(Path(sys.argv[1]))}
    GOLDEN.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")
