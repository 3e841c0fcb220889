"""Lists the plans that can be asked for, and reads the config blocks of each from YAML as Snakemake overlays them.

A plan is named after its config file. Every presets/*.yaml is one, overlaid on config.yaml, whatever config the run
itself has. The files given to Snakemake make one more, named after the last of them; config.yaml alone is `config`.
The blocks are validated in llm/plan/request.py.
"""

from pathlib import Path

import yaml

from llm.errors import InputError


def plan_files(base: Path, presets: Path, given: list[Path]) -> dict[str, list[Path]]:
    """Return name -> files, later files over earlier ones.

    `base`: config.yaml. `given`: the files of --configfile, in order; their plan is the last entry.
    """
    plans = {file.stem: [base, file] for file in sorted(presets.glob("*.yaml"))}
    own = [base, *given]
    plans.pop(own[-1].stem, None)
    return plans | {own[-1].stem: own}


def plan_blocks(plans: dict[str, list[Path]], preset: str, overrides: dict) -> dict:
    """Return the `model`, `vocab_size` and `plan` of one plan. `overrides`: Snakemake's --config.

    Raises InputError for an unknown name and for a preset without a model block.
    """
    if preset not in plans:
        raise InputError(f"results/plan/{preset}: no presets/{preset}.yaml; known are {', '.join(sorted(plans))}")
    read = [yaml.safe_load(file.read_text(encoding="utf-8")) or {} for file in plans[preset]]
    if len(read) > 1 and not any("model" in some for some in [*read[1:], overrides]):
        raise InputError(f"{plans[preset][-1]}: no model block, so there is nothing of its own to plan")
    config: dict = {}
    for some in [*read, overrides]:
        config = overlaid(config, some)
    return {
        "model": config["model"],
        "vocab_size": config["tokenizer"]["vocab_size"],
        "plan": config.get("plan", {}),
    }


def overlaid(below: dict, above: dict) -> dict:
    """Return `above` laid over `below`: blocks are merged key by key, all else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = overlaid(merged[key], value) if both else value
    return merged
