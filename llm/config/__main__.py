"""`python -m llm.config` writes what follows from the keys in the code: config.yaml, docs/config.md and
rules/config.schema.json. `--check` writes nothing and says which of them is not what the code says."""

import argparse
import json
import sys
from pathlib import Path

from llm.config.blocks import Config
from llm.config.default import default_config
from llm.config.page import page
from llm.config.schema import schema_of

DRAFT = "https://json-schema.org/draft/2020-12/schema"
ROOT = Path(__file__).resolve().parents[2]


def derived(root: Path = ROOT) -> dict[Path, str]:
    """The text that each file should have."""
    default = root / "config.yaml"
    overlay = {"$schema": DRAFT} | schema_of(Config, explained=True, whole=False)
    return {
        default: default_config(Config, default.read_text(encoding="utf-8")),
        root / "docs/config.md": page(Config),
        root / "rules/config.schema.json": json.dumps(overlay, indent=1, ensure_ascii=False) + "\n",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where a file is not current")
    check = parser.parse_args().check
    stale = [file for file, text in derived().items() if not file.is_file() or file.read_text(encoding="utf-8") != text]
    for file in stale:
        if not check:
            file.write_text(derived()[file], encoding="utf-8")
        print(f"{file.relative_to(ROOT)} {'is not what the code says' if check else 'written'}")
    sys.exit(int(check and bool(stale)))


if __name__ == "__main__":
    main()
