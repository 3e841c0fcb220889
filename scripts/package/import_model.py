"""Import a model that was made elsewhere: a Hugging Face directory or a GGUF file becomes a model directory here."""

import tempfile
from pathlib import Path

from llm.command import command
from llm.model.counts import parameter_counts
from llm.model.families import described
from llm.package.hf_directory import directory_bytes, inventory, write_configs, write_weights
from llm.package.importing.find import find_model
from llm.package.importing.read import read_model
from llm.package.importing.settings import ImportSettings
from llm.package.importing.write import check_expected, config_of, imported_card
from llm.package.model_card import NAME as CARD


def main(archive: Path, hf: Path, *, settings: ImportSettings) -> dict:
    """archive: what was fetched, or the user's own file or directory. hf: empty directory to fill. Returns what was
    found, with the inventory of parameters."""
    with tempfile.TemporaryDirectory() as scratch:
        found = read_model(find_model(archive, settings.member, Path(scratch)), hf)
    architecture = found.model.config
    check_expected(architecture, settings)
    config = config_of(found.model)
    write_configs(hf, config)
    write_weights(hf, config, found.model, settings)
    (hf / CARD).write_text(imported_card(found, settings), encoding="utf-8")
    return {
        "built_here": False,
        "origin": settings.origin,
        "license": settings.license,
        "form": found.form,
        "stored": found.stored,
        "says": found.about,
        "hugging_face": described(vars(architecture)),
        "parameters": parameter_counts(architecture)["total"],
        "weight_bytes": directory_bytes(hf),
        "inventory": inventory(architecture, found.model.state_dict()),
    }


if __name__ == "__main__":
    command(main)
