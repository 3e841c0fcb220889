"""Say why a target is stale: what would run, what changed in each job, how long it took before.

    stemma why results/models/dpo/manifest.json
    stemma why results/clean/manifest.json --after 'process.thresholds.words.min=50'

Without options the workflow is called as the last build here that wanted the target called it; the answer says how.
--snakefile, --configfile and --config say otherwise, as for snakemake; --after is for a change not yet made. The exit
status is 0 either way.
"""

import argparse
import json
from dataclasses import asdict, replace
from os.path import normpath
from pathlib import Path

from stemma.base.errors import printable
from stemma.planning.call import Call, merged, overrides
from stemma.planning.planned_jobs import call_for


def options(parser: argparse.ArgumentParser) -> None:
    """Add what to explain, and under which config."""
    parser.add_argument("target", help="a path that a rule makes, or the directory of a manifest")
    parser.add_argument("--after", action="append", default=[], metavar="KEY=VALUE", help="a config key, dotted")
    parser.add_argument("--configfile", nargs="+", default=[], type=Path, help="as for snakemake")
    parser.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="as for snakemake")
    parser.add_argument("--snakefile", type=Path, help="as for snakemake")
    parser.add_argument("--json", action="store_true", help="the call and the chain as a JSON object")


def handle(parsed: argparse.Namespace) -> None:
    """Print the chain of stale jobs, see stemma/workflow/why.py."""
    from stemma.workflow.why import ask

    call = call_of(parsed)
    chain = ask(call, parsed.target)
    if parsed.json:
        print(json.dumps({"call": call.command, "stale": [asdict(stale) for stale in chain]}))
    else:
        print(as_text(parsed.target, call, chain))


def call_of(parsed: argparse.Namespace) -> Call:
    """Return the call to explain: as the options say or, without any, the last build's that wanted the target."""
    last = None if parsed.configfile or parsed.config or parsed.snakefile else call_for(normpath(parsed.target))
    call = last or Call.of(parsed.snakefile, parsed.configfile, overrides(parsed.config))
    return replace(call, config=merged(call.config, overrides(parsed.after)))


def as_text(target: str, call: Call, chain: list) -> str:
    """Format the chain for people: a line for each job, then one for each of its changes."""
    if not chain:
        return f"{target} is up to date, for `{call.command}`"
    known = [stale.seconds for stale in chain if stale.seconds is not None]
    unknown = len(chain) - len(known)
    more = f", and {unknown} never timed" if unknown else ""
    work = f"{len(chain)} jobs, at most {sum(known):.1f} s of work as timed before{more}"
    lines = [f"{target} is stale, for `{call.command}`: {work}"]
    for stale in chain:
        took = f"{stale.seconds:.1f} s" if stale.seconds is not None else "never timed"
        took += " as others of its rule" * (stale.estimated and stale.seconds is not None)
        lines.append(f"{stale.target}  {stale.rule}  ({took})")
        lines += [f"    {change}" for change in stale.changes]
        if stale.waits_for:
            others = f" and {len(stale.waits_for) - 3} more" if len(stale.waits_for) > 3 else ""
            lines.append(f"    after {', '.join(stale.waits_for[:3])}{others}")
    return "\n".join(map(printable, lines))
