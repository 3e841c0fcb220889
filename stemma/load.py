"""A workflow read and not run, so that its keys can be asked for; by Snakemake's own reader and rules for configs."""

import logging
from pathlib import Path

import yaml
from snakemake.api import SnakemakeApi
from snakemake.exceptions import WorkflowError
from snakemake.settings.enums import Quietness
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

from stemma.errors import StemmaError
from stemma.terse import essence
from stemma.workflow import Attached


def load(snakefile: Path, configfiles: list[Path], config: dict) -> Attached:
    """What `attach` gave the workflow of a Snakefile under this config. Raises StemmaError where it cannot be read."""
    logging.getLogger("snakemake.logging").setLevel(logging.CRITICAL)
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        opened = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(config=config, configfiles=[path.resolve() for path in configfiles]),
            snakefile=snakefile.resolve(),
            workdir=Path.cwd(),
        )
        try:
            return opened._workflow.attached
        except WorkflowError as error:
            raise StemmaError(essence(str(error))) from None


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
