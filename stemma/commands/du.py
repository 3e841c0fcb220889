"""Print how much the store holds, by rule, what is in use and what gc would free.

    stemma du

A file that results/ links too is counted as in use.
"""

import argparse
import json

from stemma.base.settings import Settings
from stemma.base.wording import size_text
from stemma.provenance.gc import Plan, plan
from stemma.store.local import Store


def options(parser: argparse.ArgumentParser) -> None:
    """Add the output's form, and whether to count the shared store too."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--shared", action="store_true", help="also count what the shared store holds (lists it whole)")


def handle(parsed: argparse.Namespace) -> None:
    """Print one table, or one JSON object."""
    store = Store.of(Settings.here())
    found = {"store": str(store.path), **figures(plan(store))}
    if parsed.shared and store.shared is not None:
        place = store.shared.place
        counts = store.through(lambda shared: {kind: len(list(shared.names(f"{kind}/"))) for kind in KINDS}, None)
        found["shared"] = {"place": place, **(counts or {})}
    if parsed.json:
        print(json.dumps(found, indent=2))
        return
    for line in lines(found):
        print(line)


KINDS = ("objects", "records")


def figures(planned: Plan) -> dict:
    """Return counts and bytes. An object that records of two rules name counts for both."""
    rules: dict[str, dict] = {}
    for rule in sorted({entry.rule for entry in planned.family.entries.values()}):
        keys = [key for key, entry in planned.family.entries.items() if entry.rule == rule]
        objects = planned.family.objects(keys) & planned.sizes.keys()
        rules[rule] = {"records": len(keys), "objects": len(objects), "bytes": planned.bytes_of(objects)}
    return {
        "objects": {"count": len(planned.sizes), "bytes": planned.bytes_of(planned.sizes)},
        "records": {"count": len(planned.records), "bytes": sum(planned.records.values())},
        "in_use": {
            "records": len(planned.used),
            "objects": len(planned.used_objects),
            "bytes": planned.bytes_of(planned.used_objects),
        },
        "gc": {
            "records": len(planned.records_going),
            "objects": len(planned.objects_going),
            "bytes": planned.bytes_of(planned.objects_going),
            "freed": planned.bytes_freed,
        },
        "rules": rules,
    }


def lines(found: dict) -> list[str]:
    """Format the figures for people, rules by size."""
    table = [f"{'rule':<18}{'records':>9}{'objects':>9}{'size':>12}"]
    for rule, row in sorted(found["rules"].items(), key=lambda item: -item[1]["bytes"]):
        table.append(f"{rule:<18}{row['records']:>9}{row['objects']:>9}{size_text(row['bytes']):>12}")
    totals = {
        "all": (found["records"]["count"], found["objects"]["count"], found["objects"]["bytes"]),
        "in use": tuple(found["in_use"].values()),
        "gc would remove": (found["gc"]["records"], found["gc"]["objects"], found["gc"]["bytes"]),
    }
    table += [f"{name:<18}{r:>9}{o:>9}{size_text(size):>12}" for name, (r, o, size) in totals.items()]
    table.append(f"gc would free {size_text(found['gc']['freed'])}: a file that results/ links too stays on disk")
    if "shared" in found:
        counts = ", ".join(f"{value} {name}" for name, value in found["shared"].items() if name != "place")
        table.append(f"shared store {found['shared']['place']}: {counts or 'cannot be used'}")
    return table
