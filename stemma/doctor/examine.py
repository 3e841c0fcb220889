"""Runs every examination, in the order of the report."""

from collections.abc import Iterator

from stemma.base.errors import StemmaError
from stemma.base.settings import Settings
from stemma.doctor import machine, packages, places
from stemma.doctor.finding import Finding, stop


def examine() -> Iterator[Finding]:
    """Examine this machine for a build in this directory with the last build's settings. It takes some seconds: every
    installed file is read."""
    try:
        settings = Settings.here()
    except StemmaError as error:
        yield stop("settings", str(error))
        settings = Settings()
    yield from machine.machine()
    yield from machine.kernel()
    yield from machine.gpus()
    yield from machine.slurm()
    yield from places.disks(settings)
    yield from places.permissions(settings)
    yield from places.stores(settings)
    yield from places.keys(settings)
    yield from packages.programs()
    yield from packages.versions()
    yield from packages.edits()
