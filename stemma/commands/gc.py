"""Remove from the store what no directory that builds with it uses any more.

    stemma gc --dry-run
    stemma gc --budget 20GB

What results/ shows stays, with all that it was made from. With --budget also the latest used of the rest stays, until
its objects would exceed that size. What jobs left for another attempt goes when it is old, compiled code when no job
has used it for long. Jobs may run meanwhile. The shared store is left as it is.
"""

import argparse
import time

from stemma.base.settings import Settings, cache_of
from stemma.base.wording import bytes_in, size_text
from stemma.provenance.gc import Plan, collect, plan
from stemma.store.local import Store
from stemma.store.scratch import abandoned, remove


def options(parser: argparse.ArgumentParser) -> None:
    """Add how much to keep, and --dry-run."""
    parser.add_argument("--budget", metavar="SIZE", help="keep what was used last up to this size, e.g. 20GB")
    parser.add_argument(
        "--scratch-days",
        type=float,
        default=7,
        metavar="N",
        help="keep what unfinished jobs left, and compiled code, for so long (7)",
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would go, and remove nothing")


def handle(parsed: argparse.Namespace) -> None:
    """Plan and collect, see stemma/provenance/gc.py."""
    store = Store(Store.of(Settings.here()).path)
    planned = plan(store, None if parsed.budget is None else bytes_in(parsed.budget))
    old = abandoned(store.path / "scratch", parsed.scratch_days)
    unused = abandoned(cache_of(store.path) / "numba", parsed.scratch_days)
    verb = "would go" if parsed.dry_run else "went"
    if parsed.dry_run:
        print_records(planned)
    else:
        remove(old + unused)
    print_totals(planned if parsed.dry_run else collect(store, planned), verb)
    if old:
        print(f"{len(old)} scratch directories of unfinished jobs {verb}")
    if unused:
        print(f"compiled code of {len(unused)} modules {verb}")


def print_records(planned: Plan) -> None:
    """Print a line for each record that goes, the longest unused first."""
    entries = planned.family.entries
    for key in sorted(planned.records_going, key=lambda key: entries[key].used if key in entries else 0):
        if key not in entries:
            print(f"{key[:12]}  not whole")
            continue
        entry = entries[key]
        size = size_text(planned.bytes_of(entry.objects & set(planned.objects_going)))
        used = time.strftime("%Y-%m-%d %H:%M", time.gmtime(entry.used))
        print(f"{key[:12]}  last used {used}  {size:>9}  {entry.rule:<15} {entry.name}")


def print_totals(planned: Plan, verb: str) -> None:
    """Print what goes, what that frees, and what stays."""
    going, freed = planned.bytes_of(planned.objects_going), planned.bytes_freed
    counts = f"{len(planned.records_going)} records and {len(planned.objects_going)} objects {verb}"
    linked = f"; {size_text(going - freed)} of them are linked from elsewhere and stay on disk" if freed < going else ""
    print(f"{counts}: {size_text(going)}, which frees {size_text(freed)}{linked}")
    staying = planned.sizes.keys() - set(planned.objects_going)
    records = len(planned.records) - len(planned.records_going)
    print(f"{records} records and {len(staying)} objects stay: {size_text(planned.bytes_of(staying))}")
    if planned.guarded:
        size = size_text(planned.bytes_of(planned.guarded))
        print(f"among them {len(planned.guarded)} objects ({size}) that a running job may need; its place is in tmp/")
