"""Run one job through the store (what a rule's shell line calls)."""

import argparse
import json
from pathlib import Path

from stemma.base.settings import ROOT, Settings
from stemma.cluster.markers import marked
from stemma.execute.run import describe, more, run_job, stage_of
from stemma.provenance.record import Job


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options that stemma/workflow/attach.py renders."""
    parser.add_argument("script", help="scripts/<stage>/<rule>.py")
    for name, use in (
        ("rule", "its rule"),
        ("expected", "its expected key"),
        ("log", "the file that the script's output goes to"),
    ):
        parser.add_argument(f"--{name}", required=True, help=use)
    parser.add_argument(
        "--settings", type=Settings.of_json, required=True, metavar="JSON", help="where the engine keeps things"
    )
    parser.add_argument("--threads", type=int, required=True, help="how many the script may start")
    parser.add_argument("--shell", default="", help="what else stands in the shell line")
    for name in ("wildcards", "params"):
        parser.add_argument(f"--{name}", type=json.loads, default={}, metavar="JSON", help="the job's, by name")
    parser.add_argument("--made-from", default="", metavar="DIGEST,...", help="of the code, then of inputs and sources")
    for name in ("input", "source", "output"):
        parser.add_argument(
            f"--{name}", action="append", default=[], metavar="NAME=PATH", help="of main's argument NAME"
        )


def handle(parsed: argparse.Namespace) -> None:
    """Run the job under its marker, see stemma/execute/run.py."""
    job = Job(
        parsed.rule,
        parsed.script,
        parsed.wildcards,
        parsed.params,
        paired(parsed.input),
        paired(parsed.source),
        paired(parsed.output),
        parsed.expected,
        parsed.settings.numeric,
        parsed.threads,
        parsed.shell,
        made_from(parsed),
    )
    parsed.what = f"{job.rule} {describe(job)}: "
    log, place = Path(parsed.log), next(iter(job.outputs.values()))[0]
    with marked(job.rule, place, describe(job), job.expected, log, stage_of(job), more(job)) as marker:
        marker.how = run_job(job, parsed.settings, ROOT, log)


def made_from(parsed: argparse.Namespace) -> dict[str, str]:
    """Return what the job is to be made from, by path, see stemma/provenance/record.py."""
    paths = [parsed.script, *(option.partition("=")[2] for option in (*parsed.input, *parsed.source))]
    return dict(zip(paths, parsed.made_from.split(","), strict=True)) if parsed.made_from else {}


def paired(options: list[str]) -> dict[str, list[str]]:
    """Group ["name=path", ...] as {"name": ["path", ...]}, in the order given."""
    found: dict[str, list[str]] = {}
    for option in options:
        name, _, path = option.partition("=")
        found.setdefault(name, []).append(path)
    return found
