"""How a workflow is called: its Snakefile, its config files, and config keys as `--config` and `--after` give them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from stemma.digest import canonical
from stemma.errors import StemmaError
from stemma.settings import ROOT


@dataclass(frozen=True)
class Call:
    """As `snakemake --snakefile --configfile --config`: paths as of `spelled`; config is nested."""

    snakefile: str
    configfiles: tuple[str, ...]
    config: dict

    @staticmethod
    def of(snakefile: Path | None, configfiles: Iterable[Path], config: dict) -> "Call":
        """A call with its paths spelled in one way. Without a Snakefile the one here, else the repository's."""
        file = snakefile or (Path("Snakefile") if Path("Snakefile").is_file() else ROOT / "Snakefile")
        return Call(spelled(file), tuple(map(spelled, configfiles)), json.loads(canonical(config)))

    @staticmethod
    def of_json(value: dict) -> "Call":
        """Inverse of asdict, after JSON."""
        return Call(value["snakefile"], tuple(value["configfiles"]), value["config"])


def spelled(file: Path) -> str:
    """A file below this directory relatively, so that the directory can be moved; any other absolutely."""
    here, there = Path.cwd().resolve(), file.resolve()
    return str(there.relative_to(here) if there.is_relative_to(here) else there)


def overrides(settings: list[str]) -> dict:
    """["process.mix.bytes=5"] -> {"process": {"mix": {"bytes": 5}}}; values are YAML. StemmaError: no `=`."""
    found: dict = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals:
            raise StemmaError(f"{text!r} is no KEY=VALUE; write for example process.validation_fraction=0.05")
        *parents, leaf = name.split(".")
        place = found
        for parent in parents:
            place = place.setdefault(parent, {})
        place[leaf] = yaml.safe_load(value)
    return found


def merged(config: dict, over: dict) -> dict:
    """One nested config laid over another, as Snakemake does it."""
    found = dict(config)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(found.get(key), dict)
        found[key] = merged(found[key], value) if both else value
    return found
