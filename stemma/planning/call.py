"""Describes how a workflow is called: its Snakefile, config files, and config keys from `--config` and `--after`."""

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from stemma.base.digest import canonical, plain
from stemma.base.errors import StemmaError
from stemma.base.settings import ROOT


@dataclass(frozen=True)
class Call:
    """The arguments of `snakemake --snakefile --configfile --config`: paths as `spelled` writes them, config nested."""

    snakefile: str
    configfiles: tuple[str, ...]
    config: dict[str, object]

    @staticmethod
    def of(snakefile: Path | None, configfiles: Iterable[Path], config: dict) -> "Call":
        """Make a call with normalised paths. The default Snakefile is the one in this directory, else the
        repository's."""
        file = snakefile or (Path("Snakefile") if Path("Snakefile").is_file() else ROOT / "Snakefile")
        return Call(spelled(file), tuple(map(spelled, configfiles)), json.loads(canonical(config)))

    @property
    def command(self) -> str:
        """The call as one would type it, for messages."""
        words = ["snakemake"]
        if self.snakefile != "Snakefile" and Path(self.snakefile) != ROOT / "Snakefile":
            words += ["--snakefile", self.snakefile]
        words += ["--configfile", *self.configfiles] if self.configfiles else []
        config = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in self.config.items()]
        return shlex.join([*words, *(["--config", *config] if config else [])])


def spelled(file: Path) -> str:
    """Normalise a path: relative below this directory, so that the directory can be moved; absolute elsewhere."""
    here, there = Path.cwd().resolve(), file.resolve()
    return str(there.relative_to(here) if there.is_relative_to(here) else there)


def overrides(settings: list[str]) -> dict:
    """Parse ["process.mix.bytes=5"] into {"process": {"mix": {"bytes": 5}}}; values are YAML. Raises StemmaError."""
    found: dict = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals:
            raise StemmaError(f"{text!r} is no KEY=VALUE; write for example process.validation_fraction=0.05")
        try:
            inner = json.loads(canonical(plain(yaml.safe_load(value))))
        except (yaml.YAMLError, TypeError, ValueError) as error:
            problem = getattr(error, "problem", None) or error
            raise StemmaError(
                f"{text!r}: what follows the `=` is no value in YAML ({problem}); put it in quotes"
            ) from None
        for key in reversed(name.split(".")):
            if not key:
                raise StemmaError(f"{text!r} names no key; write for example process.validation_fraction=0.05")
            inner = {key: inner}
        found = merged(found, inner)
    return found


def merged(config: dict, over: dict) -> dict:
    """Return one nested config overridden by another, as Snakemake merges them."""
    found = dict(config)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(found.get(key), dict)
        found[key] = merged(found[key], value) if both else value
    return found
