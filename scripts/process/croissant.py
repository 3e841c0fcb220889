"""Describe the clean shards in Croissant, so that others can load and check them."""

import json
from pathlib import Path

from llm.command import command
from llm.process.corpus.croissant import describe


def main(clean: Path, croissant: Path) -> dict:
    """clean: directory of all sources' clean shards with its manifest. croissant: the JSON-LD file to write; it belongs
    beside that directory."""
    description = describe(clean)
    croissant.write_text(json.dumps(description, indent=1, ensure_ascii=False) + "\n")
    files = [entry for entry in description["distribution"] if "sha256" in entry]
    return {"files": len(files), "fields": len(description["recordSet"][0]["field"])}


if __name__ == "__main__":
    command(main)
