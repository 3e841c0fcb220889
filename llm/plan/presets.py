"""Which plans can be asked for, and the config blocks of each: config.yaml, overlaid as Snakemake overlays it.

A plan is named after its config file: every presets/*.yaml is one, whatever config the run itself has; the files that
Snakemake was given are one under the last one's name, config.yaml alone is `config`. Reads YAML; validates nothing.
"""

from pathlib import Path

import yaml

from llm.errors import InputError


def plan_files(base: Path, presets: Path, given: list[Path]) -> dict[str, list[Path]]:
    """Name -> files, later ones over earlier ones. base: config.yaml. given: --configfile's, in order; their plan is
    the last entry."""
    plans = {file.stem: [base, file] for file in sorted(presets.glob("*.yaml"))}
    own = [base, *given]
    plans.pop(own[-1].stem, None)
    return plans | {own[-1].stem: own}


def plan_blocks(plans: dict[str, list[Path]], preset: str, overrides: dict) -> dict:
    """`model`, `vocab_size` and `plan` of a plan. overrides: Snakemake's --config. InputError for a name that is none,
    and for a preset that says nothing of a model."""
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
    """`above` over `below`: blocks are merged key by key, everything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = overlaid(merged[key], value) if both else value
    return merged
