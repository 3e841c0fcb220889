"""Loads a workflow without running it, so that its keys can be computed; Snakemake itself reads it and its configs."""

import logging
from pathlib import Path

from snakemake.api import SnakemakeApi
from snakemake.exceptions import WorkflowError
from snakemake.settings.enums import Quietness
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings, SharedFSUsage, StorageSettings

from stemma.base.errors import StemmaError
from stemma.planning.call import Call
from stemma.workflow.attach import Attached
from stemma.workflow.log_filter import essence

SHARED = SharedFSUsage.all() - {SharedFSUsage.SOURCE_CACHE}  # the source cache would lie in ~/.cache


def load(call: Call) -> Attached:
    """Return what `attach` gave the workflow of a call. Raises StemmaError where it cannot be read."""
    logging.getLogger("snakemake.logging").setLevel(logging.CRITICAL)
    for file in (call.snakefile, *call.configfiles):
        if not Path(file).is_file():
            raise StemmaError(f"{file} does not exist, but `{call.command}` needs it; write it, or name another")
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        files = [Path(file).resolve() for file in call.configfiles]
        try:
            opened = api.workflow(
                resource_settings=ResourceSettings(cores=1),
                storage_settings=StorageSettings(shared_fs_usage=SHARED),
                config_settings=ConfigSettings(config=call.config, configfiles=files),
                snakefile=Path(call.snakefile).resolve(),
                workdir=Path.cwd(),
            )
            return opened._workflow.attached
        except WorkflowError as error:
            raise StemmaError(essence(str(error))) from None
